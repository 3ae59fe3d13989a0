"""The serving container: one model behind /ping and /invocations, under AWS's sagemaker-inference.

Run as `python -m scones_ops.local.serving_process MODEL_DIR READY_FD`. Loads the model, listens on a free
port of 127.0.0.1, then writes the port as a line to READY_FD. Exits with 1 if the model cannot be loaded; the
traceback is on standard error, which is the container's log.

As in the PyTorch inference container, a model has SAGEMAKER_MODEL_SERVER_WORKERS workers (default: one a CPU,
here at most 4), each with its own copy of the model and one request at a time.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

_MOST_WORKERS = 4


class RequestContext:
    """The model server's context of one request, as far as the toolkits and user handlers read it."""

    def __init__(self, model_dir: str) -> None:
        self.system_properties = {"model_dir": model_dir, "gpu_id": None}
        self.request_processor = [self]
        self.begin({})

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start the next request."""
        self._headers = dict(headers)
        self.status = 200
        self.response_headers: dict[str, str] = {}

    def get_request_properties(self) -> dict[str, str]:
        return self._headers

    def get_request_header(self, _index: int, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self._headers.items() if key.lower() == wanted), None)

    def get_all_request_header(self, _index: int) -> dict[str, str]:
        return self._headers

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.status = int(code)

    def set_response_content_type(self, _index: int, value: str) -> None:
        self.response_headers["Content-Type"] = value

    def set_response_header(self, _index: int, name: str, value: str) -> None:
        self.response_headers[name] = value


class PyTorchHandler(DefaultInferenceHandler):  # type: ignore[misc]
    """What the PyTorch container does for a function that the user's inference.py leaves out."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        import torch

        files = sorted(path for path in Path(model_dir).iterdir() if path.suffix in (".pt", ".pth"))
        if len(files) != 1:
            raise ValueError(
                f"Exactly one .pth or .pt file is required for PyTorch models: {[f.name for f in files]}"
            )
        return torch.jit.load(str(files[0]), map_location="cpu")  # type: ignore[no-untyped-call]

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        import torch

        return torch.as_tensor(super().default_input_fn(input_data, content_type))

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        import torch

        with torch.no_grad():
            return model.eval()(data)

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> Any:
        if hasattr(prediction, "detach"):
            prediction = prediction.detach().cpu().numpy()
        return super().default_output_fn(prediction, accept)


class Worker:
    """One copy of the model, for one request at a time."""

    def __init__(self, model_dir: str) -> None:
        self.context = RequestContext(model_dir)
        self.transformer = Transformer(PyTorchHandler())
        self.transformer.validate_and_initialize(model_dir=model_dir, context=self.context)

    def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer to one invocation."""
        self.context.begin(headers)
        result = self.transformer.transform([{"body": body}], self.context)[0]
        payload = result if isinstance(result, bytes | bytearray) else str(result).encode()
        if self.context.status >= 400:
            print(result, flush=True)
        return self.context.status, self.context.response_headers, bytes(payload)


class Handler(BaseHTTPRequestHandler):
    """GET /ping, POST /invocations."""

    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet: the second of two would wait for the first's acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    workers: queue.SimpleQueue[Worker]

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, {}, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/invocations":
            self._answer(404, {}, b"")
            return
        worker = self.workers.get()
        try:
            answer = worker.handle(dict(self.headers.items()), body)
        finally:
            self.workers.put(worker)
        self._answer(*answer)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A thread for each connection of the endpoint."""

    daemon_threads = True
    request_queue_size = 256


def worker_count() -> int:
    """Return how many copies of the model to load."""
    asked = os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS")
    return int(asked) if asked else min(os.cpu_count() or 1, _MOST_WORKERS)


def main(model_dir: str, ready_fd: int) -> int:
    """Serve until SIGTERM; returns 1 if the model cannot be loaded."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sys.path.insert(0, os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or f"{model_dir}/code")
    Handler.workers = queue.SimpleQueue()
    try:
        for _ in range(worker_count()):
            Handler.workers.put(Worker(model_dir))
    except Exception:
        # Whatever the user's model_fn raised: a container that cannot load its model says so and ends.
        traceback.print_exc()
        return 1
    server = Server(("127.0.0.1", 0), Handler)
    with os.fdopen(ready_fd, "w") as ready:
        ready.write(f"{server.server_address[1]}\n")
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
