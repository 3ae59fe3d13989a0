"""One Lambda sandbox: a worker process under AWS's runtime client, and the Runtime API that it talks to.

The Runtime API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) is answered by the thread
that invokes: between invocations the worker waits in `GET …/invocation/next` with its request in our socket
buffer, as a frozen sandbox does on AWS, and nothing of ours runs.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from scones_ops.local import lambda_bootstrap
from scones_ops.local.credentials import RoleSession
from scones_ops.local.lambda_http import Connection, Request
from scones_ops.local.lambda_logs import LogCutter, Report, now_ms
from scones_ops.local.lambda_types import FunctionSpec, Outcome, WorkerGone, error_answer, with_request_id
from scones_ops.local.processes import end_child, start_child

MAX_RESPONSE_BYTES = 6_291_556
INIT_SECONDS = 10.0
# How often a long invocation's memory is looked at.
_TICK_SECONDS = 0.2
_API = "/2018-06-01/runtime"


class Worker:
    """One sandbox of a function. Used by one thread at a time."""

    def __init__(self, spec: FunctionSpec, task_root: Path, runtime_dir: Path, session: RoleSession) -> None:
        self.spec = spec
        self.session = session
        self.last_used = time.monotonic()
        self.log_stream = f"{datetime.now(UTC):%Y/%m/%d}/[{spec.version}]{uuid.uuid4().hex}"
        self._started = time.monotonic()
        self._init_ms: float | None = None
        self._dead = False
        self._next: Connection | None = None  # where the worker waits for its next event
        self._logs = LogCutter()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._pipe, child_end = os.pipe()
        os.set_blocking(self._pipe, False)
        self._selector.register(self._pipe, selectors.EVENT_READ)
        command = [sys.executable, "-I", "-S", lambda_bootstrap.__file__, str(task_root), str(runtime_dir)]
        with os.fdopen(child_end, "wb") as output:
            self.process = start_child(
                command,
                env=self._environment(task_root, runtime_dir),
                cwd=task_root,
                stdout=output,
                stderr=output,
            )

    @property
    def is_usable(self) -> bool:
        return not self._dead and self.session.is_fresh and self.process.poll() is None

    def invoke(self, payload: bytes, request_id: str, client_context: str | None = None) -> Outcome:
        """Run the function on `payload` and return what AWS would answer.

        Raises WorkerGone if a worker that was warm has ended meanwhile.
        """
        cold = self._init_ms is None
        events = [(now_ms(), f"START RequestId: {request_id} Version: {self.spec.version}\n")]
        started = time.monotonic()
        if self._next is None:
            failed = self._await_next(request_id, cold)
            if failed is not None:
                return self._finish(request_id, events, started, failed, cold)
        deadline = time.monotonic() + self.spec.timeout
        started = time.monotonic()
        self._send_event(payload, request_id, deadline, client_context)
        answer = self._await_answer(request_id, deadline)
        return self._finish(request_id, events, started, answer, cold)

    def end(self) -> None:
        """End the worker at once and free what it holds; it may be called twice."""
        self._dead = True
        end_child(self.process)
        if self._pipe < 0:
            return
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Connection):
                key.data.close()
        self._selector.close()
        self._listener.close()
        os.close(self._pipe)
        self._pipe = -1

    def _await_next(self, request_id: str, cold: bool) -> tuple[bytes, str] | None:
        """Wait until the worker asks for an event; returns the error answer if its start failed."""
        # AWS gives the start 10 s, then once more the function's own timeout.
        deadline = time.monotonic() + (INIT_SECONDS + self.spec.timeout if cold else self.spec.timeout)
        while True:
            request = self._next_request(deadline)
            if request is None:
                if not cold and self._exit_status() is not None:
                    raise WorkerGone
                return self._ended(request_id)
            if request.path == f"{_API}/invocation/next":
                self._next = request.connection
                if cold:
                    self._init_ms = (time.monotonic() - self._started) * 1000
                return None
            request.connection.answer(202, b'{"status":"OK"}')
            if request.path == f"{_API}/init/error":
                self._dead = True
                return with_request_id(request.body, request_id), "Unhandled"

    def _send_event(
        self, payload: bytes, request_id: str, deadline: float, client_context: str | None
    ) -> None:
        assert self._next is not None
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(now_ms() + int((deadline - time.monotonic()) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.spec.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        if client_context:
            headers["Lambda-Runtime-Client-Context"] = client_context
        connection, self._next = self._next, None
        try:
            connection.answer(200, payload, headers)
        except OSError:
            raise WorkerGone from None

    def _await_answer(self, request_id: str, deadline: float) -> tuple[bytes, str | None]:
        while True:
            request = self._next_request(deadline)
            if request is None:
                return self._ended(request_id)
            request.connection.answer(202, b'{"status":"OK"}')
            if request.path == f"{_API}/invocation/{request_id}/response":
                if len(request.body) > MAX_RESPONSE_BYTES:
                    return error_answer(
                        "Function.ResponseSizeTooLarge",
                        "Response payload size exceeded maximum allowed payload size "
                        f"({MAX_RESPONSE_BYTES} bytes).",
                    )
                return request.body, None
            if request.path == f"{_API}/invocation/{request_id}/error":
                return request.body, "Unhandled"

    def _next_request(self, deadline: float) -> Request | None:
        """Return the worker's next whole request; None if it ended, overran or outgrew its memory first."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or self._memory_mb() > self.spec.memory_mb:
                return None
            for key, _ in self._selector.select(min(left, _TICK_SECONDS)):
                if key.fileobj is self._listener:
                    connection = Connection(self._listener.accept()[0])
                    self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                elif key.fd == self._pipe:
                    if not self._read_pipe():
                        return None
                else:
                    request = key.data.receive()
                    if request is not None:
                        return request  # type: ignore[no-any-return]
                    if key.data.is_closed:
                        self._selector.unregister(key.fileobj)

    def _read_pipe(self) -> bool:
        """Take what the worker has written; False at the end of its output, which is its own end."""
        try:
            data = os.read(self._pipe, 1 << 16)
        except BlockingIOError:
            return True
        if data:
            self._logs.feed(data)
        return bool(data)

    def _ended(self, request_id: str) -> tuple[bytes, str]:
        """Return AWS's answer for a worker that ended, outgrew its memory or overran its time."""
        over_memory = self._memory_mb() > self.spec.memory_mb
        status = self._exit_status()
        self._dead = True
        if over_memory:
            return error_answer(
                "Runtime.OutOfMemory",
                f"RequestId: {request_id} Error: Runtime exited with error: signal: killed",
            )
        if status is None:
            text = f"Task timed out after {self.spec.timeout:.2f} seconds"
            self._logs.feed(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3].encode())
            self._logs.feed(f"Z {request_id} {text}\n\n".encode())
            return error_answer("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}")
        if status == 0:
            how = "Runtime exited without providing a reason"
        elif status < 0:
            how = f"Runtime exited with error: signal: {signal.strsignal(-status) or -status}".lower()
            how = how.replace("runtime", "Runtime", 1)
        else:
            how = f"Runtime exited with error: exit status {status}"
        self._logs.feed(f"RequestId: {request_id} Error: {how}\nRuntime.ExitError\n".encode())
        return error_answer("Runtime.ExitError", f"RequestId: {request_id} Error: {how}")

    def _exit_status(self) -> int | None:
        """Return the status of a worker whose output has ended, None if it still runs."""
        try:
            return self.process.wait(0.5 if self._output_ended() else 0)
        except subprocess.TimeoutExpired:
            return None

    def _output_ended(self) -> bool:
        ready = [key for key, _ in self._selector.select(0) if key.fd == self._pipe]
        return bool(ready) and not self._read_pipe()

    def _memory_mb(self) -> int:
        """Return the most memory the worker has held, in MB; 0 where the system does not tell (not Linux)."""
        try:
            with Path(f"/proc/{self.process.pid}/status").open() as status:
                for line in status:
                    if line.startswith("VmHWM:"):
                        return -(-int(line.split()[1]) // 1024)
        except OSError:
            pass
        return 0

    def _finish(
        self,
        request_id: str,
        events: list[tuple[int, str]],
        started: float,
        answer: tuple[bytes, str | None],
        cold: bool,
    ) -> Outcome:
        duration_ms = (time.monotonic() - started) * 1000
        payload, error = answer
        used = self._memory_mb()
        if error is None and used > self.spec.memory_mb:
            payload, error = self._ended(request_id)
        while self._output_waits() and self._read_pipe():
            pass
        events += self._logs.take()
        if self._dead:
            duration_ms = min(duration_ms, self.spec.timeout * 1000)
        report = Report(
            duration_ms, self.spec.memory_mb, min(used, self.spec.memory_mb), self._init_ms if cold else None,
            "Status: timeout" if b"Sandbox.Timedout" in payload[:60] else "",
        )  # fmt: skip
        events.append((now_ms(), f"END RequestId: {request_id}\n"))
        events.append((now_ms(), report.line(request_id)))
        self.last_used = time.monotonic()
        if self._dead:
            self.end()
        return Outcome(request_id, self.log_stream, payload, error, events)

    def _output_waits(self) -> bool:
        return any(key.fd == self._pipe for key, _ in self._selector.select(0))

    def _environment(self, task_root: Path, runtime_dir: Path) -> Mapping[str, str]:
        """Return the worker's environment: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
        spec = self.spec
        own = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(task_root),
            "LAMBDA_RUNTIME_DIR": str(runtime_dir),
            "_HANDLER": spec.handler,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._listener.getsockname()[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        return dict(spec.environment) | own | self.session.environment()
