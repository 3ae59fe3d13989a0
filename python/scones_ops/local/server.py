"""Runs the local AWS in the foreground: `python -m scones_ops.local.server --port 4566 --home FOLDER`.

One process on 127.0.0.1: moto's server for the many services that only need to remember, and our extensions
for those that must really run something. Each extension is a module of this package with `install(home)`.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from scones_ops.local.context import configure
from scones_ops.settings import LOCAL_CREDENTIALS

log = logging.getLogger("scones.local")

# In the order they are installed. A module may also have `close()`, called when the server ends.
EXTENSIONS = (
    "terraform_gaps",
    "s3_policies",
    "lambda_backend",
    "stepfunctions",
    "events",
    "sagemaker_training",
    "sagemaker_endpoint",
)


def isolate_environment(port: int, region: str) -> None:
    """Keep the user's own AWS configuration out of this process and of all that it starts.

    Every client made in here talks to this server, with its throw-away credentials.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(LOCAL_CREDENTIALS)
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_REGION=region,
        AWS_DEFAULT_REGION=region,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        MOTO_PORT=str(port),
        # Buckets are found by path, never by a host name such as bucket.localhost.
        S3_IGNORE_SUBDOMAIN_BUCKETNAME="true",
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, then end every child; returns 0, or 1 if the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m scones_ops.local.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True, help="folder for logs and work files")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION") or "us-east-1")
    args = parser.parse_args(arguments)

    args.home.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.Formatter.default_msec_format = "%s.%03d"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    isolate_environment(args.port, args.region)
    context = configure(args.port, args.home, args.region)

    # Only now: moto and botocore read the environment when they are imported.
    from scones_ops.local.web import make_web_server

    try:
        server = make_web_server(args.port)
    except OSError as error:
        log.error("port %s cannot be used: %s", args.port, error.strerror)
        return 1

    modules = [importlib.import_module(f"scones_ops.local.{name}") for name in EXTENSIONS]
    for module in modules:
        module.install(context.home)

    def stop(_signum: int, _frame: object) -> None:
        # From another thread: shutdown() waits for the loop that this signal interrupted.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("local AWS serves %s, pid %s, account %s", context.url, os.getpid(), context.account)
    server.serve_forever()
    for module in reversed(modules):
        if hasattr(module, "close"):
            module.close()
    server.server_close()
    log.info("local AWS stopped")
    # Request threads may still wait on work that has just been ended; nothing of theirs is worth waiting for.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
