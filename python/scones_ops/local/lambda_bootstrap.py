"""Starts one function as AWS's Python runtime does: `python -I -S lambda_bootstrap.py TASK_ROOT RUNTIME_DIR`.

Runs inside the worker process, where nothing of this project can be imported: Python's standard library, the
function's own files and what AWS's runtime holds (boto3 and its needs) are all there is, as on AWS.
"""

import os
import runpy
import sys


def main() -> None:
    """Put the function's files first on the path, as AWS does, and hand over to AWS's runtime client."""
    task_root, runtime_dir = sys.argv[1:3]
    sys.path[:0] = [task_root, runtime_dir]
    # Log messages travel framed, so that one of several lines stays one; prints share the pipe, so that the
    # order of both is kept.
    os.environ["_LAMBDA_TELEMETRY_LOG_FD"] = str(os.dup(1))
    sys.argv = ["awslambdaric", os.environ["_HANDLER"]]
    runpy.run_module("awslambdaric", run_name="__main__")


if __name__ == "__main__":
    main()
