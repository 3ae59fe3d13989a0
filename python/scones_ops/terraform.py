"""Terraform itself: which one and with which provider, how it is run, what its errors say.

`Runner` is python-terraform with three things it lacks: output that is followed while it runs, an environment
of its own, and one Ctrl-C that reaches Terraform once, so that it can finish and write its state.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import python_terraform

from scones_ops.console import say
from scones_ops.errors import InfrastructureFailed, ToolMissing

OLDEST = (1, 9)
PROVIDER = Path("registry.terraform.io/hashicorp/aws")
MIRRORS = Path("/opt")

FLAG = python_terraform.IsFlagged
Line = Callable[[str], None]

_POLL_SECONDS = 0.05
_PROGRESS = re.compile(
    r"^(?P<what>\S+): (?P<step>(Creation|Modifications|Destruction) complete after \S+|"
    r"Still (creating|modifying|destroying)\.\.\. \[(id=.*, )?(\d+m)?(0?0|30)s elapsed\])"
)
_READING = re.compile(r"^\S+: (Refreshing state\.\.\.|Reading\.\.\.|Read complete after|Still reading\.\.\.)")
_SUMMARY = re.compile(r"^(Apply|Destroy) complete! |^No changes\.")


def terraform_version() -> str:
    """Return Terraform's version, as 1.11.4. Raises ToolMissing where it is absent or older than OLDEST."""
    needed = ".".join(str(part) for part in OLDEST)
    mend = f"install Terraform {needed} or newer, see https://developer.hashicorp.com/terraform/install"
    if shutil.which("terraform") is None:
        raise ToolMissing(f"Terraform is not on the PATH: {mend}")
    answer = subprocess.run(
        ["terraform", "version", "-json"], capture_output=True, text=True, env=clean_environment(os.environ)
    )
    try:
        version = str(json.loads(answer.stdout)["terraform_version"])
    except (ValueError, KeyError):
        raise ToolMissing(f"`terraform version` does not answer ({answer.stderr.strip()}): {mend}") from None
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise ToolMissing(f"Terraform {version} is too old: {mend}")
    return version


def find_provider_mirror() -> Path | None:
    """Return the folder that `init -plugin-dir` takes the AWS provider from, or None.

    $TF_PLUGIN_DIR if it is set, else a folder in /opt that holds registry.terraform.io.
    Raises ToolMissing where $TF_PLUGIN_DIR has no AWS provider.
    """
    named = named_provider_mirror()
    if named is not None:
        return named
    return next((path for path in sorted(MIRRORS.glob("*")) if (path / PROVIDER).is_dir()), None)


def named_provider_mirror() -> Path | None:
    """Return $TF_PLUGIN_DIR, checked, or None where it is not set."""
    named = os.environ.get("TF_PLUGIN_DIR", "").strip()
    if not named:
        return None
    path = Path(named).resolve()
    if not (path / PROVIDER).is_dir():
        raise ToolMissing(
            f"TF_PLUGIN_DIR={named} holds no {PROVIDER}: write it with `terraform providers mirror`"
        )
    return path


def clean_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` for Terraform: no questions, no look-ups, no settings file that is not there."""
    clean = dict(env)
    settings_file = clean.get("TF_CLI_CONFIG_FILE", "")
    if settings_file and not Path(settings_file).is_file():
        del clean["TF_CLI_CONFIG_FILE"]
    return clean | {"TF_INPUT": "0", "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


class Runner(python_terraform.Terraform):  # type: ignore[misc]
    """python-terraform's commands in one folder, with one environment and one log."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        super().__init__(working_dir=str(folder))
        self.environment = clean_environment(environment)
        self.log_file = log
        log.parent.mkdir(parents=True, exist_ok=True)

    def start_log(self) -> None:
        """Begin the log anew: it holds one change or plan, and what failed since."""
        self.log_file.write_bytes(b"")

    def cmd(self, cmd: str, *args: str, **options: Any) -> tuple[int, str, str]:
        """Return exit status, output and errors of one Terraform command.

        `follow`: called with each line while the command runs; errors then stand in the output. Raises
        KeyboardInterrupt, after Terraform has ended in order, where the user interrupted it.
        """
        follow: Line | None = options.pop("follow", None)
        options.pop("capture_output", None)
        options.pop("raise_on_error", None)
        if shutil.which("terraform") is None:
            terraform_version()
        try:
            command = self.generate_cmd_string(cmd, *args, **options)
            if follow is None:
                return self._collect(command)
            return self._follow(command, follow)
        finally:
            self.temp_var_files.clean_up()

    def read_state_file(self, file_path: str | None = None) -> None:
        """Do nothing: the state may be anywhere, and Terraform is asked for what stands in it."""

    def _collect(self, command: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(
            command, cwd=self.working_dir, env=self.environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        if done.returncode != 0:
            with self.log_file.open("a") as log:
                log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        return done.returncode, done.stdout, done.stderr

    def _follow(self, command: list[str], follow: Line) -> tuple[int, str, str]:
        """Run the command with its output going straight to the log, which is read along.

        Terraform thus needs nobody to listen: if this process is killed it still ends in order.
        """
        with self.log_file.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            start = log.tell()
            process = subprocess.Popen(
                command, cwd=self.working_dir, env=self.environment, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        lines = []
        with _interrupts_passed_to(process) as interrupted:
            for line in _lines_until_end(self.log_file, start, process):
                lines.append(line)
                follow(line)
        if interrupted:
            raise KeyboardInterrupt
        return process.returncode, "\n".join(lines), ""


@contextmanager
def _interrupts_passed_to(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Pass each Ctrl-C on to the process, once, and yield the list of those that came.

    Only the main thread may set handlers; in another one, interrupts are the main thread's affair.
    """
    came: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        if not came:
            say("stopping: Terraform finishes what is under way and writes its state; please wait")
        came.append(number)
        process.send_signal(signal.SIGINT)

    try:
        before = signal.signal(signal.SIGINT, pass_on)
    except ValueError:
        yield came
        return
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


def _lines_until_end(path: Path, start: int, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the lines the process writes to `path` from byte `start` on, until it has ended."""
    rest = b""
    with path.open("rb") as file:
        file.seek(start)
        while True:
            ended = process.poll() is not None
            *whole, rest = (rest + file.read()).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
            if ended:
                break
            time.sleep(_POLL_SECONDS)
    if rest:
        yield rest.decode(errors="replace")


def say_progress(line: str) -> None:
    """Print what a reader wants to see of Terraform's output: what is done, and what takes long."""
    found = _PROGRESS.match(line)
    if found:
        step = re.sub(r"\[id=[^,\]]*, ", "[", found["step"])
        say(f"  {found['what']}: {step[0].lower()}{step[1:]}")
    elif _SUMMARY.match(line):
        say(line.strip())


def say_plan(line: str) -> None:
    """Print Terraform's plan without the lines about what it reads to make it."""
    if not _READING.match(line):
        say(line)


def first_error(output: str) -> str:
    """Return Terraform's first error in one line: its summary, and its explanation where there is one.

    Of the plain format (-no-color): "Error: SUMMARY", the place in the source, indented, the explanation.
    """
    lines = iter(output.splitlines())
    for line in lines:
        if line.startswith("Error: "):
            break
    else:
        return "it ended without saying why"
    summary = line.removeprefix("Error: ").strip()
    explanation = []
    for line in lines:
        if line.startswith(("Error: ", "Warning: ")):
            break
        if line and not line.startswith(" "):
            explanation.append(line.strip())
        elif explanation:
            break
    return f"{summary.rstrip('.')}: {' '.join(explanation)}" if explanation else summary


def explain(output: str, folder: Path, log: Path) -> InfrastructureFailed:
    """Return the error to raise for a failed command: what was wrong and what to do, in one line."""
    lock = re.search(
        r"Error acquiring the state lock.*?ID:\s+(?P<id>\S+).*?Who:\s+(?P<who>\S+)", output, re.S
    )
    if lock:
        return InfrastructureFailed(
            f"another Terraform run holds the state (of {lock['who']}): wait for it to end; if it is gone, "
            f"run `terraform -chdir={folder} force-unlock {lock['id']}`"
        )
    return InfrastructureFailed(f"Terraform: {first_error(output)} (all of it: {log})")
