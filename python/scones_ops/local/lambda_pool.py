"""The warm workers of each function: taken for an invocation, given back, ended when idle or outdated."""

from __future__ import annotations

import os
import threading
import time
import uuid
from pathlib import Path

from scones_ops.local.credentials import role_session
from scones_ops.local.lambda_files import runtime_folder, unpack
from scones_ops.local.lambda_runtime import Worker
from scones_ops.local.lambda_types import FunctionSpec, Outcome, WorkerGone

# AWS would start up to 1000; here more than the cores can run only costs memory, so the rest wait their turn.
MAX_WORKERS = 2 * (os.cpu_count() or 1)
IDLE_SECONDS = 300.0


class Throttled(Exception):
    """All of the function's reserved concurrency is in use."""


class FunctionPool:
    """The workers of one state of a function."""

    def __init__(self, spec: FunctionSpec, home: Path) -> None:
        self.spec = spec
        self._home = home
        self._idle: list[Worker] = []
        self._busy = 0
        self._closed = False
        self._changed = threading.Condition()

    def invoke(self, payload: bytes, reserved: int | None, client_context: str | None = None) -> Outcome:
        """Run the function once; at most `reserved` at a time if that is set. Raises Throttled."""
        request_id = str(uuid.uuid4())
        while True:
            worker = self._take(reserved)
            try:
                outcome = worker.invoke(payload, request_id, client_context)
            except WorkerGone:
                worker.end()
                self._give_back(worker)
                continue
            except BaseException:
                worker.end()
                self._give_back(worker)
                raise
            self._give_back(worker)
            return outcome

    def close(self) -> None:
        """End the idle workers now and the busy ones when they are done."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def end_idle(self, older_than: float) -> None:
        """End the workers that have not been used for `older_than` seconds."""
        limit = time.monotonic() - older_than
        with self._changed:
            outdated = [worker for worker in self._idle if worker.last_used < limit]
            self._idle = [worker for worker in self._idle if worker.last_used >= limit]
        for worker in outdated:
            worker.end()

    @property
    def size(self) -> int:
        return len(self._idle) + self._busy

    def _take(self, reserved: int | None) -> Worker:
        with self._changed:
            if reserved is not None and self._busy >= reserved:
                raise Throttled
            while True:
                if self._idle:
                    worker = self._idle.pop()
                    if worker.is_usable:
                        self._busy += 1
                        return worker
                    worker.end()
                elif self._busy < MAX_WORKERS:
                    self._busy += 1
                    break
                else:
                    self._changed.wait()
        try:
            return self._start()
        except BaseException:
            with self._changed:
                self._busy -= 1
                self._changed.notify()
            raise

    def _start(self) -> Worker:
        spec = self.spec
        task_root = unpack(spec.code, self._home / "code")
        session = role_session(spec.role, spec.name)
        return Worker(spec, task_root, runtime_folder(self._home), session)

    def _give_back(self, worker: Worker) -> None:
        with self._changed:
            self._busy -= 1
            keep = worker.is_usable and not self._closed
            if keep:
                self._idle.append(worker)
            self._changed.notify()
        if not keep:
            worker.end()


class Pools:
    """The pool of every function; a function that has changed gets a new one."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._pools: dict[str, FunctionPool] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._end_idle_ones, name="lambda-idle", daemon=True).start()

    def pool(self, spec: FunctionSpec) -> FunctionPool:
        """Return the pool of `spec`, and let go of the workers of the function's earlier state."""
        with self._lock:
            known = self._pools.get(spec.arn)
            if known is not None and known.spec == spec:
                return known
            fresh = self._pools[spec.arn] = FunctionPool(spec, self._home)
        if known is not None:
            known.close()
        return fresh

    def forget(self, arn: str) -> None:
        """Let go of the workers of a deleted function."""
        with self._lock:
            known = self._pools.pop(arn, None)
        if known is not None:
            known.close()

    def close(self) -> None:
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def count(self) -> int:
        """Return how many worker processes there are."""
        with self._lock:
            return sum(pool.size for pool in self._pools.values())

    def _end_idle_ones(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 10)
            with self._lock:
                pools = list(self._pools.values())
            for pool in pools:
                pool.end_idle(IDLE_SECONDS)
