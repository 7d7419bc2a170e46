"""A bucket's folders and objects, seen and changed with the user's own token."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from roles.aws.objects import FolderPage
from roles.errors import InputError
from roles.history.recorder import record
from roles.portal.page import show, signed_in
from roles.portal.refusals import explained
from roles.portal.storage import Place, object_key, place_of, store_of, upload_limit
from roles.portal.uploads import UploadLimit, limit_upload

PAGE_OBJECTS = 200


@require_safe
def browse(request: HttpRequest, mapping_id: int, bucket: str) -> HttpResponse:
    """List one folder, a page at a time. Where only folders deep inside are granted, list those first."""
    prefix = request.GET.get("prefix", "")
    place = place_of(request, mapping_id, bucket, prefix)
    if not prefix and not place.is_inside:
        return _granted_folders(request, place)
    if not place.writes:
        place.require(write=False)
    shown: dict[str, Any] = {"place": place, "crumbs": crumbs(place), "max_bytes": upload_limit()}
    if place.reads:
        with explained(request, place, f"list {place.bucket}/{prefix}"):
            page = store_of(request, place).list_folder(prefix, token=request.GET.get("page", ""), limit=PAGE_OBJECTS)
        shown |= {
            "folder": page,
            "rows": _rows(place, page),
            "is_continued": "page" in request.GET,
            "first_url": folder_url(place, prefix),
            "next_url": folder_url(place, prefix, page=page.next_token) if page.next_token else "",
        }
    return show(request, "portal/browse.html", shown, title=place.bucket.name)


@require_safe
def browse_download(request: HttpRequest, mapping_id: int, bucket: str) -> HttpResponseBase:
    """Stream one object as a file to save; nothing in it is ever shown or run as a page of the portal's."""
    place = place_of(request, mapping_id, bucket, _key(request.GET.get("key", "")))
    place.require(write=False)
    with explained(request, place, f"read '{place.key}'"):
        opened = store_of(request, place).open(place.key)
    _record(request, "object.downloaded", place, size=opened.size)
    response = StreamingHttpResponse(opened.chunks, content_type="application/octet-stream")
    name = place.key.rpartition("/")[2]
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Content-Length"] = str(opened.size)
    response["X-Content-Type-Options"] = "nosniff"
    return response


@csrf_exempt
@require_POST
def browse_upload(request: HttpRequest, mapping_id: int, bucket: str) -> HttpResponse:
    """Refuse what is too large, or not this user's to write, before reading it; then store the file.

    Django's CSRF check reads the whole body to find its token, so it comes after those refusals: in `_upload`.
    """
    limit = limit_upload(request, upload_limit())
    place = place_of(request, mapping_id, bucket, request.GET.get("prefix", ""))
    place.require(write=True)
    response: HttpResponse = _upload(request, place, limit)
    return response


@csrf_protect
def _upload(request: HttpRequest, folder: Place, limit: UploadLimit) -> HttpResponse:
    file = request.FILES.get("file")
    limit.check()
    if file is None:
        raise InputError("No file was sent.", field="file", hint="Choose a file first.")
    key = object_key(folder.key, file.name or "")
    place = place_of(request, folder.mapping.pk, folder.bucket.name, key)
    place.require(write=True)
    with explained(request, place, f"write '{key}'"):
        store_of(request, place).put(key, file, file.content_type or "application/octet-stream")
    _record(request, "object.uploaded", place, size=file.size)
    messages.success(request, f"{file.name} was uploaded.")
    back = folder_url(place, folder.key)
    if request.accepts("text/html"):
        return redirect(back)
    return JsonResponse({"location": back})


@require_http_methods(["GET", "POST"])
def browse_delete(request: HttpRequest, mapping_id: int, bucket: str) -> HttpResponse:
    """Ask once, naming the object; then delete it."""
    given = request.POST if request.method == "POST" else request.GET
    place = place_of(request, mapping_id, bucket, _key(given.get("key", "")))
    place.require(write=True)
    back = folder_url(place, _folder_of(place.key))
    if request.method != "POST":
        shown = {"place": place, "crumbs": crumbs(place), "back": back}
        return show(request, "portal/browse_delete.html", shown, title="Delete an object")
    with explained(request, place, f"delete '{place.key}'"):
        store_of(request, place).delete(place.key)
    _record(request, "object.deleted", place)
    messages.success(request, f"{place.key} was deleted.")
    return redirect(back)


def folder_url(place: Place, prefix: str, **query: str) -> str:
    """Return the address of a folder's page."""
    address = reverse("browse", args=[place.mapping.pk, place.bucket.name])
    given = {name: value for name, value in {"prefix": prefix, **query}.items() if value}
    return f"{address}?{urlencode(given)}" if given else address


def crumbs(place: Place) -> list[dict[str, str]]:
    """Return the way from the widest granted folder down to this place; the last one is where one is."""
    root, folder = place.root, _folder_of(place.key)
    way = [{"label": f"{place.bucket.name}/{root}".rstrip("/"), "url": folder_url(place, root)}]
    reached = root
    for part in folder[len(root) :].split("/")[:-1]:
        reached += f"{part}/"
        way.append({"label": part or "(no name)", "url": folder_url(place, reached)})
    return way


def _rows(place: Place, page: FolderPage) -> list[dict[str, Any]]:
    """Return what the table shows: folders first, then objects, by their names inside this folder."""
    here = len(place.key)
    folders = [
        {"is_folder": True, "name": name[here:].rstrip("/"), "url": folder_url(place, name)} for name in page.folders
    ]
    objects = [
        {
            "name": item.key[here:],
            "size": item.size,
            "changed_at": item.modified,
            "url": _object_url("browse_download", place, item.key),
            "delete_url": _object_url("browse_delete", place, item.key),
        }
        for item in page.objects
        if item.key != place.key  # the folder's own marker
    ]
    return folders + objects


def _object_url(view: str, place: Place, key: str) -> str:
    return f"{reverse(view, args=[place.mapping.pk, place.bucket.name])}?{urlencode({'key': key})}"


def _granted_folders(request: HttpRequest, place: Place) -> HttpResponse:
    prefixes = sorted({grant.prefix for grant in place.grants})
    if len(prefixes) == 1:
        return redirect(folder_url(place, prefixes[0]))
    folders = [{"label": prefix, "url": folder_url(place, prefix)} for prefix in prefixes]
    return show(request, "portal/browse_prefixes.html", {"place": place, "folders": folders}, title=place.bucket.name)


def _folder_of(key: str) -> str:
    """Return the folder that holds `key`; a key that ends in '/' is one."""
    return key[: key.rfind("/") + 1]


def _key(text: str) -> str:
    if not text:
        raise InputError("No object was named.", field="key", hint="Choose one in the bucket's folder.")
    return text


def _record(request: HttpRequest, code: str, place: Place, **details: Any) -> None:
    """Keep who did what to which object. AWS's own trail names the same person as the session's source identity."""
    record(
        code,
        actor=signed_in(request),
        subject=place.mapping,
        group=place.mapping.group.name,
        account_id=place.bucket.account.account_id,
        resource=str(place.bucket.arn),
        key=place.key,
        **details,
    )
