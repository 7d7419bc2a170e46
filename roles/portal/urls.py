"""Routes of the pages for members and auditors."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from roles.portal.views import browse, credentials, health, history, my_access, owners, runs, sign_in, tools

_BUCKET = "mappings/<int:mapping_id>/buckets/<str:bucket>/"
_OWNER = "owner-of/<slug:account_id>/"
_PROVISIONER = "provisioner-of/<slug:account_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", sign_in.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("login/", sign_in.SignIn.as_view(), name="login"),
    path("logout/", sign_in.SignOut.as_view(), name="logout"),
    path("sign-out-everywhere/", sign_in.sign_out_of_all, name="sign_out_everywhere"),
    path("password/", sign_in.ChangePassword.as_view(), name="password_change"),
    path("password/done/", sign_in.PasswordChanged.as_view(), name="password_change_done"),
    path("my-access/", my_access.my_access, name="my_access"),
    path("mappings/<int:mapping_id>/credentials/", credentials.credentials, name="credentials"),
    path("mappings/<int:mapping_id>/credentials/<int:target_id>/fresh/", tools.fresh, name="credentials_fresh"),
    path("mappings/<int:mapping_id>/credentials/<int:target_id>/console/", credentials.console, name="aws_console"),
    path("tools/", tools.signed_in_tools, name="signed_in_tools"),
    path("tools/authorise/<int:mapping_id>/<int:target_id>/", tools.authorise, name="authorise_tool"),
    path("tools/<int:bearer_id>/sign-out/", tools.sign_tool_out, name="tool_sign_out"),
    path(_BUCKET, browse.browse, name="browse"),
    path(f"{_BUCKET}download/", browse.browse_download, name="browse_download"),
    path(f"{_BUCKET}upload/", browse.browse_upload, name="browse_upload"),
    path(f"{_BUCKET}delete/", browse.browse_delete, name="browse_delete"),
    path("history/", history.history, name="history"),
    path("history/runs/", history.history_runs, name="history_runs"),
    path("history/access/", history.access, name="history_access"),
    path("history/<int:event_id>/", history.event, name="event"),
    path("runs/<int:run_id>/", runs.run, name="run"),
    path("runs/<int:run_id>/steps/", runs.run_steps, name="run_steps"),
    path("runs/<int:run_id>/retry/", runs.run_retry, name="run_retry"),
    path(f"runs/<int:run_id>/{_OWNER}", owners.run_documents, name="run_documents"),
    path(f"runs/<int:run_id>/{_OWNER}<slug:form>/", owners.run_document, name="run_document"),
    path(_OWNER, owners.account_documents, name="account_documents"),
    path(f"{_OWNER}<slug:form>/", owners.account_document, name="account_document"),
    path(_PROVISIONER, owners.provisioner_documents, name="provisioner_documents"),
    path(f"{_PROVISIONER}<slug:form>/", owners.provisioner_document, name="provisioner_document"),
]
