"""Distributed Map: every item a child execution of its own, tolerated failures, results in S3.

Moto runs the items, but gives all of them the parent's identity, ignores failures and writes no results.
What AWS does: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from __future__ import annotations

from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType, MapRunFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval import (
    resource_eval_s3 as reader_s3,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (  # noqa: E501
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.inline_iteration_component import (  # noqa: E501
    InlineIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker as distributed_worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.map_run_record import (  # noqa: E501
    MapRunRecord,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.iteration_worker import (
    IterationWorker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import Job, JobPool
from moto.stepfunctions.parser.asl.component.state.exec.state_map.result_writer.resource_eval import (
    resource_eval_s3 as writer_s3,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.state_map import StateMap
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.eval.states import ItemData, MapData

from scones_ops.local.stepfunctions_map_run import RUNS, Child, MapRun
from scones_ops.local.stepfunctions_results import write_results

# AWS runs up to 10,000 items at once. Here each costs a thread, and the functions behind run a few at a time.
MAX_THREADS = 16

# Where a frame's heap holds the record of the run that its Map state began last.
_RUN = "scones map run"

_DistributedWorker = distributed_worker.DistributedItemProcessorWorker


def install() -> None:
    """Make Map states run as on AWS."""
    _bound_threads()
    IterationWorker._eval_pool = _inline_pool
    _DistributedWorker._eval_pool = _distributed_pool
    _DistributedWorker._eval_job = _eval_child
    reader_s3.ResourceEvalS3._handle_list_objects_v2 = staticmethod(_list_all_objects)
    writer_s3.ResourceEvalS3._handle_put_object = staticmethod(_write_results)
    _register_runs()
    _remember_run()
    _write_results_of_failed_runs()


def _bound_threads() -> None:
    """Start at most MAX_THREADS workers for a Map, whatever its MaxConcurrency (0 is "as many as can be")."""
    create, launch = JobPool.__init__, InlineIterationComponent._launch_worker

    def __init__(self: JobPool, job_program: Any, job_inputs: list[Any]) -> None:
        create(self, job_program, job_inputs)
        self.threads_left = min(MAX_THREADS, len(job_inputs))

    def _launch_worker(self: InlineIterationComponent, env: Any, eval_input: Any, job_pool: JobPool) -> None:
        if job_pool.threads_left > 0:
            job_pool.threads_left -= 1
            launch(self, env, eval_input, job_pool)

    JobPool.__init__ = __init__
    InlineIterationComponent._launch_worker = _launch_worker


def _inline_pool(self: IterationWorker, job: Job | None, worker_frame: Any) -> None:
    """Run jobs until none is left. Moto does it by recursion and ends at Python's limit."""
    while job is not None:
        job_frame = worker_frame.open_inner_frame()
        self._eval_job(env=job_frame, job=job)
        worker_frame.close_frame(job_frame)
        stop = isinstance(job.job_output, Exception) or self.stopped()
        following = None if stop else self._job_pool.next_job()
        if following is None:
            # The frame is closed before the last job: its owner goes on as soon as all jobs are closed.
            if not stop:
                worker_frame.event_history_context.source_event_id = (
                    job_frame.event_history_context.last_published_event_id
                )
            self._env.close_frame(worker_frame)
            self._job_pool.close_job(job)
            return
        self._job_pool.close_job(job)
        job = following
    self._env.close_frame(worker_frame)


def _distributed_pool(self: Any, job: Job | None, worker_frame: Any) -> None:
    while job is not None:
        job_frame = worker_frame.open_inner_frame()
        # A child's events are its own, and are not kept.
        job_frame.event_manager = EventManager()
        self._eval_job(env=job_frame, job=job)
        worker_frame.delete_frame(job_frame)
        stop = isinstance(job.job_output, Exception) or self.stopped()
        self._job_pool.close_job(job)
        job = None if stop else self._job_pool.next_job()


def _eval_child(self: Any, env: Any, job: Job) -> None:
    """Run one item as a child execution and record how it ended."""
    run: MapRun = RUNS[self._map_run_record.map_run_arn]
    run.expect(self._job_pool)
    child = run.begin(job.job_index, job.job_input)
    data = env.states.context_object.context_object_data
    try:
        data["Map"] = MapData(Item=ItemData(Index=job.job_index, Value=job.job_input))
        env.states.reset(job.job_input)
        env.stack.append(env.states.get_input())
        self._eval_input(env_frame=env)
        child.input = env.states.get_input()
        data["Execution"] = child.context(env.aws_execution_details.role_arn)
        data["StateMachine"] = {"Id": run.machine_arn, "Name": run.machine_arn.rsplit(":", 1)[-1]}
        job.job_program.eval(env)
        _conclude(child, env)
    except FailureEventException as failure:
        error, cause = failure.extract_error_cause_pair() or ("States.Runtime", "")
        child.end("FAILED", error=error, cause=cause)
    except Exception as failure:
        child.end("FAILED", error="States.Runtime", cause=f"{type(failure).__name__}: {failure}")
    finally:
        run.ended(child)
    job.job_output = child.output
    if run.record.stop_date is not None:
        # The execution was stopped: no further item begins, and the state ends.
        job.job_output = RuntimeError("the Map run has ended")
    elif run.is_over_tolerance():
        job.job_output = FailureEventException(_tolerance_exceeded(env))


def _conclude(child: Child, env: Any) -> None:
    state = env.program_state()
    if isinstance(state, ProgramEnded):
        child.end("SUCCEEDED", output=env.states.get_input())
    elif isinstance(state, ProgramError):
        error = state.error or {}
        child.end("FAILED", error=error.get("error"), cause=error.get("cause"))
    elif isinstance(state, ProgramTimedOut):
        child.end("TIMED_OUT", error="States.Timeout")
    elif isinstance(state, ProgramStopped):
        child.end("ABORTED")
    else:
        raise RuntimeError(f"a child execution ended in state {state}")


def _tolerance_exceeded(env: Any) -> FailureEvent:
    name = StatesErrorName(typ=StatesErrorNameType.StatesExceedToleratedFailureThreshold)
    return FailureEvent(
        env=env,
        error_name=name,
        event_type=HistoryEventType.MapRunFailed,
        event_details=EventDetails(
            mapRunFailedEventDetails=MapRunFailedEventDetails(
                error=name.error_name, cause="The specified tolerated failure threshold was exceeded"
            )
        ),
    )


def _register_runs() -> None:
    """Keep a MapRun for each of moto's records, by its ARN; moto describes what it counts."""
    start, stop = MapRunRecord.__init__, MapRunRecord.set_stop

    def __init__(self: MapRunRecord, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        RUNS[self.map_run_arn] = MapRun(self)

    def set_stop(self: MapRunRecord, status: Any) -> None:
        if self.stop_date is None:
            RUNS[self.map_run_arn].give_up_rest()
            stop(self, status)

    MapRunRecord.__init__ = __init__
    MapRunRecord.set_stop = set_stop


def _remember_run() -> None:
    """Keep a state's run in the state's own frame: other branches of the execution have runs, too."""
    evaluate = DistributedIterationComponent._eval_body

    def _eval_body(self: DistributedIterationComponent, env: Any) -> None:
        env.heap[_RUN] = env.stack[-1].map_run_record
        evaluate(self, env)

    DistributedIterationComponent._eval_body = _eval_body


def _list_all_objects(env: Any, resource_runtime_part: Any, state_credentials: Any) -> None:
    """Push all objects under the prefix, as AWS's reader does; moto reads one page and fails for none."""
    client = reader_s3.ResourceEvalS3._get_s3_client(
        resource_runtime_part=resource_runtime_part, state_credentials=state_credentials
    )
    pages = client.get_paginator("list_objects_v2").paginate(**env.stack.pop())
    env.stack.append(
        [
            {
                "Etag": item["ETag"],
                "Key": item["Key"],
                "LastModified": item["LastModified"].timestamp(),
                "Size": item["Size"],
                "StorageClass": item.get("StorageClass", "STANDARD"),
            }
            for page in pages
            for item in page.get("Contents", [])
        ]
    )


def _write_results(env: Any, resource_runtime_part: Any, state_credentials: Any) -> None:
    parameters = env.stack.pop()
    env.stack.pop()
    record = env.heap[_RUN]
    client = writer_s3.ResourceEvalS3._get_s3_client(
        resource_runtime_part=resource_runtime_part, state_credentials=state_credentials
    )
    key = write_results(client, parameters["Bucket"], parameters.get("Prefix", ""), RUNS[record.map_run_arn])
    env.stack.append(
        {
            "MapRunArn": record.map_run_arn,
            "ResultWriterDetails": {"Bucket": parameters["Bucket"], "Key": key},
        }
    )


def _write_results_of_failed_runs() -> None:
    """Write the results of a run that failed, too: AWS does, with what had not been started as PENDING."""
    evaluate = StateMap._eval_execution

    def _eval_execution(self: StateMap, env: Any) -> None:
        try:
            evaluate(self, env)
        except FailureEventException as failure:
            if (
                self.result_writer is not None
                and failure.failure_event.event_type == HistoryEventType.MapRunFailed
            ):
                env.stack.append([])
                self.result_writer.eval(env)
                env.stack.pop()
            raise

    StateMap._eval_execution = _eval_execution
