"""A Lambda worker's output, cut into log events."""

import base64

from scones_ops.local.lambda_logs import LogCutter, Report, tail


def frame(text: bytes) -> bytes:
    return b"\xa5\x5a\x00\x03" + len(text).to_bytes(4, "big") + bytes(8) + text


def messages(*chunks: bytes) -> list[str]:
    cutter = LogCutter()
    for chunk in chunks:
        cutter.feed(chunk)
    return [text for _, text in cutter.take()]


def test_each_printed_line_is_an_event() -> None:
    assert messages(b"one\ntwo\nthree") == ["one\n", "two\n", "three"]


def test_a_framed_message_of_several_lines_is_one_event() -> None:
    assert messages(b"before\n" + frame(b"a\nb\n") + b"after\n") == ["before\n", "a\nb\n", "after\n"]


def test_the_order_of_prints_and_messages_is_kept_without_a_line_end_between() -> None:
    assert messages(b"no newline" + frame(b"message") + b"rest") == ["no newline", "message", "rest"]


def test_it_does_not_matter_where_the_output_is_cut() -> None:
    whole = b"before\n" + frame("ü\n".encode() * 3) + b"after\n"
    assert messages(*(whole[i : i + 1] for i in range(len(whole)))) == messages(whole)


def test_the_report_line_is_aws_s() -> None:
    line = Report(102.251, 128, 37, init_ms=120.1).line("id")
    assert line == (
        "REPORT RequestId: id\tDuration: 102.25 ms\tBilled Duration: 223 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 37 MB\tInit Duration: 120.10 ms\t\n"
    )


def test_the_tail_is_the_last_four_kilobytes() -> None:
    assert base64.b64decode(tail([(0, "x" * 5000), (1, "end\n")])).endswith(b"x\nend\n")
    assert len(base64.b64decode(tail([(0, "x" * 5000)]))) == 4096
