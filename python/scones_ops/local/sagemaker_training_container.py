"""Plays the PyTorch training container's own framework module, under AWS's sagemaker-training.

sagemaker-training's `train` imports this module (SAGEMAKER_TRAINING_MODULE) and calls `main`, which runs the
user's script the way the container's does: its error output becomes part of the failure message.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from typing import Any

from sagemaker_training import entry_point, environment, runner

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the user's script to its end; raises sagemaker-training's own errors when it fails."""
    # Stopping a job signals the whole group. The script may act on it; this process must live to report.
    signal.signal(signal.SIGTERM, lambda *_: None)
    _tie_children_to_this_process()
    env = environment.Environment()
    entry_point.run(
        env.module_dir,
        env.user_entry_point,
        env.to_cmd_args(),
        env.to_env_vars(),
        capture_error=True,
        runner_type=runner.ProcessRunnerType,
    )


def _tie_children_to_this_process() -> None:
    """Make the script die with this process: sagemaker-training starts it, and offers no hook for that."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)

    class TiedPopen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("preexec_fn", lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
            super().__init__(*args, **kwargs)

    subprocess.Popen = TiedPopen  # type: ignore[misc]
