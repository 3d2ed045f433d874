"""A real nginx and a real HAProxy on loopback, in front of a server, with TLS, at a path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.interop.coturn import free_port

PREFIX = "/atmosphere"

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location {prefix}/ {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 10m;
            proxy_send_timeout 10m;
            proxy_buffering off;
        }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    timeout tunnel 10m
    option forwardfor
frontend public
    bind 127.0.0.1:{port} ssl crt {folder}/both.pem
    http-request deny unless {{ path_beg {prefix}/ }}
    http-request replace-path {prefix}(/.*) \\1
    default_backend relay
backend relay
    server relay 127.0.0.1:{upstream}
"""
PASSING_ON = """
global
    maxconn 256
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend public
    bind 127.0.0.1:{port}
    default_backend relay
backend relay
    server relay 127.0.0.1:{upstream} {kind}
"""
"""nginx leaves the prefix in the path, HAProxy takes it away: both must do."""


@contextlib.asynccontextmanager
async def proxied(kind: str, folder: Path, files: tuple[Path, Path], upstream: int) -> AsyncIterator[int]:
    """The port on which a proxy has the server on the port `upstream`.

    nginx and haproxy serve https:// at a path; `send-proxy` and `send-proxy-v2` are HAProxy passing TCP on as it is,
    with a PROXY header before it.
    """
    port = free_port()
    (folder / "both.pem").write_bytes(files[0].read_bytes() + files[1].read_bytes())
    program = "nginx" if kind == "nginx" else "haproxy"
    text = {"nginx": NGINX, "haproxy": HAPROXY}.get(kind, PASSING_ON).format(
        kind=kind, folder=folder, port=port, upstream=upstream, certificate=files[0], key=files[1], prefix=PREFIX
    )
    config = folder / f"{kind}.conf"
    config.write_text(text)
    arguments = {"nginx": ("-p", str(folder), "-c", str(config)), "haproxy": ("-db", "-f", str(config))}[program]
    with (folder / f"{kind}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=log, stderr=log)
    try:
        await _listens(port, process, folder / f"{kind}.log")
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _read(log: Path) -> str:
    return log.read_text()


async def _listens(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(20):
        while True:
            assert process.returncode is None, _read(log)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return
