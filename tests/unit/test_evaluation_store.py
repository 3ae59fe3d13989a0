"""The files of an evaluation: whole or not there, and never of two runs."""

import json
from pathlib import Path

import pytest
from evaluation_samples import evaluated_sample

from scones_ops.errors import EvaluationMissing
from scones_ops.evaluation.store import read_evaluation, write_evaluation


def test_what_is_written_reads_back_and_leaves_no_other_file(tmp_path: Path) -> None:
    evaluation, records = evaluated_sample(tmp_path / "data", rejected=1, broken=1)
    write_evaluation(tmp_path / "out", evaluation, records)
    assert read_evaluation(tmp_path / "out") == (evaluation, records)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evaluation.json", "records.jsonl"]


def test_the_files_are_plain_json_for_other_programs(tmp_path: Path) -> None:
    evaluation, records = evaluated_sample(tmp_path / "data")
    write_evaluation(tmp_path, evaluation, records)
    values = json.loads((tmp_path / "evaluation.json").read_text())
    assert values["accuracy"]["value"] == evaluation.accuracy.value
    assert values["counts"] == evaluation.counts
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [record.key for record in records]


def test_no_evaluation_yet_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(EvaluationMissing, match="make evaluate"):
        read_evaluation(tmp_path)


def test_files_of_two_runs_are_refused(tmp_path: Path) -> None:
    for seed in (1, 2):
        evaluation, records = evaluated_sample(tmp_path / "data", seed=seed)
        write_evaluation(tmp_path / str(seed), evaluation, records)
    (tmp_path / "2" / "records.jsonl").replace(tmp_path / "1" / "records.jsonl")
    with pytest.raises(EvaluationMissing, match="of two evaluations"):
        read_evaluation(tmp_path / "1")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"records_sha256": "0", "accuracy": 3}'])
def test_a_damaged_evaluation_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    evaluation, records = evaluated_sample(tmp_path / "data")
    write_evaluation(tmp_path, evaluation, records)
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(EvaluationMissing, match="damaged") as caught:
        read_evaluation(tmp_path)
    assert "\n" not in str(caught.value)
