"""Somebody's own program that uses one tool for as long as it runs: commands in, a line each; answers out, a line each.

Run by its path in the environment where the tool is installed; it knows nothing of the portal and gets no credentials
and no address of AWS but those that the tool finds by itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

BUCKET = "example-data"


def boto3_tool() -> dict[str, Callable[..., Any]]:
    """Return what a command does, with boto3."""
    import boto3  # noqa: PLC0415 (each environment has its own tools)

    session = boto3.Session()
    s3 = session.client("s3")
    return {
        "list": lambda prefix: [
            row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        ],
        "read": lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode(),
        "write": lambda key, text: s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode()) and "written",
        "method": lambda: session.get_credentials().method,
    }


def s3fs_tool() -> dict[str, Callable[..., Any]]:
    """Return what a command does, with s3fs. Listings are not kept."""
    import s3fs  # noqa: PLC0415

    fs = s3fs.S3FileSystem(use_listings_cache=False)
    return {
        "list": lambda prefix: [path.removeprefix(f"{BUCKET}/") for path in fs.ls(f"{BUCKET}/{prefix}", detail=False)],
        "read": lambda key: fs.cat_file(f"{BUCKET}/{key}").decode(),
        "write": lambda key, text: fs.pipe_file(f"{BUCKET}/{key}", text.encode()) and "written",
    }


def pyarrow_tool() -> dict[str, Callable[..., Any]]:
    """Return what a command does, with PyArrow's S3 filesystem."""
    from pyarrow import fs  # noqa: PLC0415

    # Of what the page shows, PyArrow alone does not read the address by itself.
    s3 = fs.S3FileSystem(region=os.environ["AWS_REGION"], endpoint_override=os.environ.get("AWS_ENDPOINT_URL"))

    def read(key: str) -> str:
        with s3.open_input_stream(f"{BUCKET}/{key}") as file:
            return str(file.read().decode())

    def write(key: str, text: str) -> str:
        with s3.open_output_stream(f"{BUCKET}/{key}") as file:
            file.write(text.encode())
        return "written"

    def listed(prefix: str) -> list[str]:
        found = s3.get_file_info(fs.FileSelector(f"{BUCKET}/{prefix}".rstrip("/")))
        return [info.path.removeprefix(f"{BUCKET}/") for info in found]

    return {"list": listed, "read": read, "write": write}


TOOLS = {"boto3": boto3_tool, "s3fs": s3fs_tool, "pyarrow": pyarrow_tool}


def main() -> None:
    """Answer commands until there are no more."""
    commands: dict[str, Callable[..., Any]] = {}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            commands = commands or TOOLS[sys.argv[1]]()
            answer = {"answer": commands[name](*arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
