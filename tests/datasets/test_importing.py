"""Import: what becomes an example, what is refused and how it is told, and that nothing large is held in memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.core.errors import BadInput
from noria.datasets import encodings, service
from noria.datasets.importing import guess_split
from noria.datasets.records import Example, file_row_id
from noria.stores.connect import Stores
from tests.conftest import data_set
from tests.datasets.conftest import Run


def chat(question: str, answer: str, **more: Any) -> str:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages, **more}, ensure_ascii=False)


def examples(stores: Stores, version: Any) -> list[Example]:
    return list(service.read_examples(stores, version))


def test_chat_lines_become_examples_with_their_place(stores: Stores, importing: Run) -> None:
    content = "\n".join([chat("안녕", "Hello", id="a", session="s"), "", chat("bye", "Bye", id="b")])
    version = importing({"train.jsonl": content, "test.jsonl": chat("test", "Test")})
    first, second, third = examples(stores, version)
    digest = version.report["files"][0]["digest"]
    assert first.messages == [{"role": "user", "content": "안녕"}, {"role": "assistant", "content": "Hello"}]
    assert first.meta == {"id": "a", "session": "s"}
    assert second.source == {"file": digest, "name": "train.jsonl", "line": 3}
    assert second.row_id == file_row_id(digest, 3)
    assert [e.split for e in (first, second, third)] == ["train", "train", "test"]
    assert version.splits == {"train": 2, "test": 1}


def test_bad_lines_are_refused_with_number_reason_and_hint(stores: Stores, importing: Run) -> None:
    bad = [
        "{not json",
        '["a list"]',
        '{"text": "no messages"}',
        '{"messages": []}',
        json.dumps({"messages": [{"role": "user", "content": "x"}]}),
        json.dumps({"messages": [{"role": "robot", "content": "x"}, {"role": "assistant", "content": "y"}]}),
        chat("  ", "y"),
    ]
    version = importing({"train.jsonl": "\n".join([chat("q", "a"), *bad, chat("q2", "a2")])})
    refused = version.report["refused_lines"]
    assert version.rows == 2
    assert [entry["line"] for entry in refused] == [2, 3, 4, 5, 6, 7, 8]
    reasons = [entry["reason"] for entry in refused]
    assert reasons[0].startswith("not JSON")
    assert reasons[1] == "not a JSON object"
    assert "'messages' is missing" in reasons[2]
    assert "last message is from 'user'" in reasons[4]
    assert "'robot'" in reasons[5]
    assert "message 1 (user) is empty" in reasons[6]
    assert all(entry["hint"] for entry in refused[:3])
    kept = stores.files.path(version.report["refused_file"]).read_text(encoding="utf-8").splitlines()
    assert json.loads(kept[0])["text"] == "{not json"


def test_too_many_bad_lines_fail_the_import_and_leave_nothing(stores: Stores, importing: Run) -> None:
    content = "\n".join([chat("q", "a")] * 50 + ["broken"] * 11)
    with pytest.raises(BadInput, match=r"train.jsonl: 11 of 61 lines cannot be used. The first is line 51: not JSON"):
        importing({"train.jsonl": content})
    with pytest.raises(BadInput, match="3 of 3 lines"):
        importing({"train.jsonl": "broken\n" * 3})
    assert service.list_datasets(stores, "project-1").items == []
    assert importing({"train.jsonl": content}, max_refused=0.5).rows == 50


def test_one_array_is_not_jsonl(importing: Run) -> None:
    with pytest.raises(BadInput) as caught:
        importing({"train.json": json.dumps([json.loads(chat("q", "a"))], indent=1)})
    assert "array" in caught.value.hint


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_empty_files(importing: Run, name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} is empty"):
        importing({name: b""})


def test_files_that_are_no_text(importing: Run) -> None:
    with pytest.raises(BadInput, match="not a text file"):
        importing({"rows.xlsx": b"PK\x03\x04" + b"\x00" * 100})
    with pytest.raises(BadInput, match="not a Parquet file"):
        importing({"rows.parquet": b"PAR1" + b"x" * 100})


def test_the_same_file_twice(importing: Run) -> None:
    content = chat("q", "a")
    with pytest.raises(BadInput, match="are the same file"):
        importing({"train.jsonl": content, "test.jsonl": content})


def test_duplicate_ids_are_told_and_kept(importing: Run) -> None:
    version = importing(
        {"a.jsonl": "\n".join([chat("q", "a", id="1"), chat("r", "b", id="2"), chat("s", "c", id="1")])}
    )
    assert version.rows == 3
    assert version.report["duplicate_ids"] == {
        "count": 1,
        "first": [{"id": "1", "file": "a.jsonl", "line": 3, "first_file": "a.jsonl", "first_line": 1}],
    }


def test_csv_with_well_known_columns_and_other_columns_as_meta(stores: Stores, importing: Run) -> None:
    version = importing({"train.csv": 'id,text,label\n1,"Where, please?",find\n2,"line one\nline two",other\n'})
    first, second = examples(stores, version)
    assert [m["content"] for m in first.messages] == ["Where, please?", "find"]
    assert first.meta == {"id": "1"}
    assert second.source["line"] == 3


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("q;a\nhow; so\n", ";"),
        ("q\ta\nhow\tso\n", "\t"),
        ('q|a\n"how|ever"|so\n', "|"),
        ("q,a\n'how, ever',so\n'no',yes\n", ","),
        ('q\ta\nan "odd quote\tso\nanother\tyes\n', "\t"),
    ],
)
def test_delimiters_and_quotes_are_found(stores: Stores, importing: Run, content: str, delimiter: str) -> None:
    version = importing({"train.csv": content}, mapping={"text": "q", "label": "a"})
    assert version.report["files"][0]["delimiter"] == delimiter
    assert examples(stores, version)[0].target.strip() == "so"


def test_csv_mistakes_name_the_line(importing: Run) -> None:
    rows = "".join(f"question {n},answer\n" for n in range(300))
    content = f"text,label\n{rows}only one field\n,no text\na,b,c\n{rows}"
    refused = importing({"train.csv": content}).report["refused_lines"]
    assert [(entry["line"], entry["reason"]) for entry in refused] == [
        (302, "1 fields, but 2 columns"),
        (303, "the column 'text' is empty"),
        (304, "3 fields, but 2 columns"),
    ]


def test_a_quote_that_is_never_closed(importing: Run) -> None:
    rows = "".join(f"question {n},answer\n" for n in range(300))
    with pytest.raises(BadInput, match=r"a quote that opens on line 302 is never closed; it swallowed 301 lines"):
        importing({"train.csv": f'text,label\n{rows}"open,answer\n{rows}'})


def test_missing_columns_list_those_that_are_there(importing: Run) -> None:
    with pytest.raises(BadInput) as caught:
        importing({"train.csv": "foo,bar\n1,2\n"})
    assert "train.csv" in caught.value.message
    assert "foo, bar" in caught.value.hint
    with pytest.raises(BadInput, match="no column 'question'"):
        importing({"train.csv": "text,label\n1,2\n"}, mapping={"text": "question", "label": "label"})
    with pytest.raises(BadInput, match="speaks of 'x'"):
        importing({"train.csv": "text,label\n1,2\n"}, mapping={"x": "text"})


def test_splits_from_a_column(importing: Run) -> None:
    content = "text,label,part\na,b,train\nc,d,test\ne,f,\n"
    assert importing({"all.csv": content}, mapping={"split": "part"}).splits == {"train": 2, "test": 1}


@pytest.mark.parametrize(
    ("name", "split"),
    [("train.jsonl", "train"), ("my-test-rows.csv", "test"), ("dev.csv", "validation"), ("contest.csv", "train")],
)
def test_splits_from_names(name: str, split: str) -> None:
    assert guess_split(name) == split


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "euc-kr", "utf-16"])
def test_korean_in_every_usual_encoding(stores: Stores, importing: Run, encoding: str) -> None:
    content = "text,label\n정말 재미있어요,긍정\n별로였습니다,부정\n".encode(encoding)
    version = importing({"train.csv": content})
    assert [m["content"] for m in examples(stores, version)[0].messages] == ["정말 재미있어요", "긍정"]
    assert bool(version.report["files"][0]["notes"]) == (encoding in {"cp949", "euc-kr"})


def test_western_fallback_is_told(stores: Stores, importing: Run) -> None:
    version = importing({"train.csv": "text,label\ncafé à la crème,boisson\n".encode("latin-1")})
    assert examples(stores, version)[0].messages[0]["content"] == "café à la crème"
    assert "cp1252" in version.report["files"][0]["notes"][0]


@pytest.mark.parametrize("shape", ["train.csv", "train.jsonl"])
def test_one_broken_byte_costs_one_line_not_the_encoding(stores: Stores, importing: Run, shape: str) -> None:
    line = "안녕하세요,인사\n" if shape.endswith("csv") else chat("안녕하세요", "인사") + "\n"
    head = "text,label\n" if shape.endswith("csv") else ""
    content = (head + line * 60).encode()
    broken = line.encode().replace("녕".encode(), b"\xff\xfe", 1)
    version = importing({shape: content + broken + line.encode()})
    assert version.rows == 61
    assert version.report["files"][0]["encoding"] == "utf-8"
    (refused,) = version.report["refused_lines"]
    assert refused["reason"] == "bytes that are not UTF-8: 0xff 0xfe"
    assert refused["line"] == 61 + bool(head)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x85\u2028\u2029")), max_size=20))
def test_text_in_utf8_is_always_read_as_utf8(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "any.txt"
    path.write_bytes("\n".join(lines).encode())
    found = encodings.detect(path)
    assert found.name in {"utf-8", "utf-8-sig"} and not found.note


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_can_be_imported_or_refused_with_a_clear_error(tmp_path: Path, content: bytes) -> None:
    from io import BytesIO

    from noria.datasets.importing import Import, Upload

    path = tmp_path / "any"
    path.write_bytes(content)
    for name in ("any.jsonl", "any.csv"):
        run = Import([Upload(path, "d", name, "train")], {}, BytesIO())
        with pytest.raises(BadInput):
            list(run.examples())
            raise BadInput("it was read")


def test_parquet_with_columns_and_with_conversations(stores: Stores, importing: Run, tmp_path: Path) -> None:
    columns, talks = tmp_path / "columns.parquet", tmp_path / "talks.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1, 2], "extra": ["x", None]}), columns)
    messages = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]]
    pq.write_table(pa.table({"messages": messages, "id": [7]}), talks)
    version = importing({"train.parquet": columns, "test.parquet": talks})
    first, second, third = examples(stores, version)
    assert (first.target, first.meta, second.meta) == ("1", {"extra": "x"}, {})
    assert third.messages == messages[0]
    assert third.meta == {"id": 7}


def test_a_job_that_is_run_again_finds_its_version(importing: Run) -> None:
    first = importing({"train.jsonl": chat("q", "a")}, job_id="job-1")
    assert importing({"train.jsonl": chat("q", "a")}, job_id="job-1").id == first.id


_LARGE = """
import re, resource
from pathlib import Path
from noria.core.settings import load
from noria.datasets import jobs
from noria.jobs.context import JobContext
from noria.stores.connect import Stores
stores = Stores(load({{}}, data={data!r}))
args = {{"name": "large", "files": [{{"digest": {digest!r}, "name": "train.csv"}}]}}
import pyarrow.parquet
done = jobs.import_files(JobContext("job", "project-1", "", args, stores, lambda *_: None, lambda *_: None))
status = Path("/proc/self/status")  # ru_maxrss would count the memory of the process that started this one
peak = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1] if status.exists() else None
print(done["rows"], int(peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024)
stores.close()
"""


def test_200_000_rows_in_bounded_memory(stores: Stores, tmp_path: Path) -> None:
    source = tmp_path / "large.csv"
    with source.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for n in range(200_000):
            file.write(
                f'"Customer number {n} asks, with some more words than usual, where the parcel of today is",parcel_{n % 77}\n'
            )
    digest = stores.files.put(source)
    program = _LARGE.format(data=str(stores.settings.data), digest=digest)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 200_000
    assert megabytes < 250  # 20 MB of text; interpreter, SQLAlchemy and Arrow alone are some 130
    version = service.find_version(stores, "project-1", "large")
    assert version.rows == 200_000 and len(version.parts) == 4
    assert next(service.read_examples(stores, version, offset=199_999)).target == f"parcel_{199_999 % 77}"


def test_public_data_sets(stores: Stores, importing: Run) -> None:
    calls = data_set("sgd-calls")
    version = importing({name: calls / name for name in ("train.jsonl", "test.jsonl")})
    assert version.splits == {"train": 921, "test": 321}
    assert version.report["refused"] == 0
    bank = data_set("banking77")
    assert importing({"train.csv": bank / "train.csv"}, name="bank", mapping={"label": "category"}).rows == 10_003
    reviews = data_set("nsmc")
    version = importing({"train.csv": reviews / "train.csv"}, name="reviews")
    assert version.rows + version.report["refused"] == 16_000
