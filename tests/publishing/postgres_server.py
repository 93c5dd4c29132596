"""A real PostgreSQL for tests: the binaries of pgserver, a start of our own (TCP, passwords, works as root)."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database of its own for one test, and a user who may do what a publisher needs and no more.

    Attributes
    ----------
    url : str
        For the publisher.
    admin_url : str
        For a superuser.
    user, password, name : str
        The publisher's, and the database's.
    port : int
        On 127.0.0.1.
    """

    url: str
    admin_url: str
    user: str
    password: str
    name: str
    port: int

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement as superuser; its rows, if it has any."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def make_reader(self, name: str) -> str:
        """Make a user who is a member of the readers' role; the URL to connect as."""
        name = f"{self.name}_{name}"
        self.ask(f"create role {name} login password 'reader' in role throughline_reader")
        return f"postgresql://{name}:reader@127.0.0.1:{self.port}/{self.name}"


@contextmanager
def running_postgres() -> Iterator[tuple[str, int]]:
    """Start a server; the superuser's password and the port."""
    found = importlib.util.find_spec("pgserver")
    if found is None or found.origin is None:
        pytest.skip("pgserver, which brings a PostgreSQL for tests, is not installed (it has no wheel for Python 3.13)")
    binaries = Path(found.origin).parent / "pginstall" / "bin"
    # PostgreSQL refuses to run as root.
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        import pwd

        who = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
    # Short, because a socket's path has 107 bytes; not tmp_path, which only its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="tl-pg-"))
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    password = secrets.token_urlsafe(12)
    server = None
    try:
        (home / "password").write_text(password)
        if who:
            for path in (home, home / "password"):
                shutil.chown(path, "nobody")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        made = subprocess.run(
            [
                *(binaries / "initdb", "-D", home / "data", "-U", "postgres", "-A", "scram-sha-256"),
                *(f"--pwfile={home / 'password'}", "-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            env=environment,
            cwd=home,
            check=False,
            **who,
        )
        assert made.returncode == 0, made.stderr
        with (home / "log").open("w") as log:
            server = subprocess.Popen(
                [
                    *(binaries / "postgres", "-D", home / "data", "-h", "127.0.0.1", "-p", str(port)),
                    *("-k", str(home), "-F", "-c", "autovacuum=off"),
                ],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=home,
                **who,
            )
        ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        end = time.monotonic() + 30
        while subprocess.run(ready, env=environment, check=False).returncode:
            assert server.poll() is None and time.monotonic() < end, (home / "log").read_text()
            time.sleep(0.02)
        yield password, port
    finally:
        if server:
            # A fast shutdown: open sessions are ended.
            server.send_signal(signal.SIGINT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def fresh_database(password: str, port: int) -> Iterator[Database]:
    """Make a database and its publisher; afterwards nothing of them is left, nor of the readers' role."""
    name = f"test_{secrets.token_hex(4)}"
    # As a password manager makes them: what a URL must write as percent codes.
    secret = "s3cr/t@%42#?"
    admin = f"postgresql://postgres:{password}@127.0.0.1:{port}"
    with psycopg.connect(f"{admin}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name} strategy file_copy")
        connection.execute(f"create role {name}_publisher login createrole password '{secret}'")
        connection.execute(f"grant create on database {name} to {name}_publisher")
        yield Database(
            url=f"postgresql://{name}_publisher:s3cr%2Ft%40%2542%23%3F@127.0.0.1:{port}/{name}",
            admin_url=f"{admin}/{name}",
            user=f"{name}_publisher",
            password=secret,
            name=name,
            port=port,
        )
        connection.execute(f"drop database {name} with (force)")
        connection.execute("drop role if exists throughline_reader")
        for (role,) in connection.execute(f"select rolname from pg_roles where rolname like '{name}%'").fetchall():
            connection.execute(f"drop role {role}")
