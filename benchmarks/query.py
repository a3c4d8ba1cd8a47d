"""What questions to the span store cost: CPU of the store process, on --spans (1,000,000) spans over 60 days.

Half of the spans are roots (traces), half are steps inside every fifth trace; texts are made of English and Korean words. The
spans are made by the store itself from a seed. Each question is asked as the pages ask it (through noria.tracing), --rounds
times with different values after one warm-up; the figure is the mean of the CPU milliseconds that the store process spent.
Shared machines differ by a factor of two from hour to hour: `yardstick` is what two million additions in Python took beside it.
The last printed line is one JSON object: figures, bars, whether all were met.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil

from noria.core import clock
from noria.core.settings import load
from noria.stores.connect import Stores
from noria.tracing import figures, migrations, outline, schema, service
from noria.tracing.records import TraceFilter

BARS = {"latest_50": 50, "filtered": 50, "one_trace": 50, "search": 50, "dashboard_30_days": 100}
IDLE_BAR = 0.01
PROJECT = "0190aaaa-0000-7000-8000-000000000001"
DAYS = 60
_WORDS = [
    "refund",
    "order",
    "delivery",
    "late",
    "cancel",
    "address",
    "invoice",
    "password",
    "reset",
    "account",
    "payment",
    "card",
    "coupon",
    "return",
    "exchange",
    "size",
    "colour",
    "shipping",
    "tracking",
    "damaged",
    "missing",
    "receipt",
    "warranty",
    "support",
    "human",
    "please",
    "thanks",
    "when",
    "where",
    "how",
    "much",
    "today",
    "tomorrow",
    "환불",
    "주문",
    "배송",
    "취소",
    "주소",
    "결제",
    "카드",
    "쿠폰",
    "반품",
    "교환",
    "사이즈",
    "색상",
    "파손",
    "영수증",
    "보증",
    "상담원",
    "오늘",
    "내일",
    "언제",
    "어디",
    "얼마",
    "감사합니다",
    "비밀번호",
    "계정",
    "포인트",
    "적립",
    "회원",
]
_MODELS = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "gemma-3-270m", "qwen3-8b"]


def main() -> int:
    """Make the spans, ask, compare with the bars."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--spans", type=int, default=1_000_000)
    asked.add_argument("--rounds", type=int, default=20)
    asked.add_argument("--idle", type=float, default=60, help="Seconds of watching the idle store.")
    asked.add_argument("--data", type=Path, help="Keep the data here, and use what is there.")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        settings = load({}, data=options.data or Path(temporary) / "data")
        settings.data.mkdir(parents=True, exist_ok=True)
        settings.folder.store.unlink(missing_ok=True)
        command = [sys.executable, "-m", "noria", "store"]
        with subprocess.Popen(command, env={**os.environ, **settings.environment()}) as process:
            try:
                until(settings.folder.store.exists)
                figures = measure(Stores(settings), process.pid, options)
            finally:
                process.terminate()
    bars = {**BARS, "idle_share_of_a_core": IDLE_BAR}
    passed = all(figures[name] <= bar for name, bar in bars.items())
    print(json.dumps({"figures": figures, "bars": bars, "passed": passed}))
    return 0 if passed else 1


def until(ready: Callable[[], bool]) -> None:
    """Wait until it is so; a minute at most."""
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.05)


def measure(stores: Stores, pid: int, options: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds of each question, by name, and what else is worth knowing."""
    migrations.prepare(stores.spans)
    began = time.monotonic()
    fill(stores, options.spans)
    store = psutil.Process(pid)
    print(f"{options.spans:,} spans are there after {time.monotonic() - began:.0f} s", flush=True)
    settle(store)
    some = random.Random(1)
    one = service.list_traces(stores, PROJECT, limit=500, cursor=None).items
    figures: dict[str, float] = {"spans": options.spans, "megabytes": megabytes(stores)}
    for name, ask in questions(stores, some, [row.trace_id for row in one]).items():
        figures[name] = cost(store, name, ask, options.rounds)
    figures["yardstick"] = yardstick()
    before, start, held = cpu(store), time.monotonic(), folder_megabytes(stores)
    time.sleep(options.idle)  # what is measured is this very idling
    figures["idle_share_of_a_core"] = round((cpu(store) - before) / (time.monotonic() - start), 4)
    figures["megabytes_grown_idle"] = round(folder_megabytes(stores) - held, 3)
    figures["store_rss_megabytes"] = round(store.memory_info().rss / 1e6)
    return figures


def questions(stores: Stores, some: random.Random, traces: list[str]) -> dict[str, Callable[[], object]]:
    """What is asked, each with values drawn anew."""

    def listed(q: str) -> object:
        return service.list_traces(stores, PROJECT, TraceFilter(q=q, live=True), limit=50)

    def filtered() -> str:
        return some.choice(
            [
                f"endpoint:shop{some.randrange(8)} status:error",
                f"model:{some.choice(_MODELS)} latency>{some.randrange(1, 4)}s",
                f"cost>0.0{some.randrange(1, 9)} tokens>=100 arm:canary",
                f"user:user-{some.randrange(5000)}",
                f"attr.customer.tier:gold release:{some.randrange(1, 6)} -status:error",
                f"tag:tag{some.randrange(20)} since:7d",
            ]
        )

    month = timedelta(days=30)
    return {
        "latest_50": lambda: listed(""),
        "filtered": lambda: listed(filtered()),
        "one_trace": lambda: service.get_trace(stores, PROJECT, some.choice(traces)),
        "one_trace_outline": lambda: outline.read(stores, PROJECT, some.choice(traces)),
        "search": lambda: listed(f'"{some.choice(_WORDS)} {some.choice(_WORDS)}"'),
        "search_rare": lambda: listed(f"ticket{some.randrange(10**6):06d}"),
        "search_nothing": lambda: listed(f"없는말{some.randrange(10**6)}"),
        "dashboard_30_days": lambda: figures.over_time(
            stores, figures.Question(PROJECT, clock.now() - month, clock.now())
        ),
    }


def cost(store: psutil.Process, name: str, ask: Callable[[], object], rounds: int) -> float:
    """Mean CPU milliseconds in the store, printed with the wall time that the caller saw."""
    ask()
    before, began = cpu(store), time.monotonic()
    for _ in range(rounds):
        ask()
    spent, wall = (cpu(store) - before) / rounds * 1000, (time.monotonic() - began) / rounds * 1000
    print(f"{name:20} {spent:8.1f} ms CPU {wall:8.1f} ms wall (with the caller)", flush=True)
    return round(spent, 1)


def yardstick() -> float:
    """CPU milliseconds of two million additions in this process."""
    before, total = time.process_time(), 0
    for number in range(2_000_000):
        total += number
    return round((time.process_time() - before) * 1000, 1)


def cpu(store: psutil.Process) -> float:
    """Seconds that the process has used."""
    times = store.cpu_times()
    return float(times.user + times.system)


def settle(store: psutil.Process) -> None:
    """Wait until background merges are done: two quiet seconds."""
    for _ in range(300):
        before = cpu(store)
        time.sleep(2)
        if cpu(store) - before < 0.1:
            return


def megabytes(stores: Stores) -> float:
    """On disk, compressed."""
    [row] = stores.spans.query("SELECT sum(bytes_on_disk) AS n FROM system.parts WHERE active")
    return round(row["n"] / 1e6)


def folder_megabytes(stores: Stores) -> float:
    """All files of the data folder, as they occupy the disk."""
    total = 0
    for path in stores.settings.data.rglob("*"):
        with suppress(FileNotFoundError):  # a part that was merged away meanwhile
            total += path.lstat().st_blocks * 512
    return total / 1e6


def fill(stores: Stores, spans: int) -> None:
    """Insert what is missing, in batches as the tailer would; scores for every hundredth trace."""
    [have] = stores.spans.query("SELECT count() AS n FROM spans")
    batch = 20_000
    now = clock.now_ns()
    for start in range(have["n"], spans, batch):
        values = {
            "start": start // 2,
            "count": min(batch, spans - start) // 2,
            "now": now,
            "total": spans // 2,
            "days": DAYS,
        }
        values |= {"project": PROJECT, "words": _WORDS, "models": _MODELS}
        for table, sql in _MADE.items():
            stores.spans.command(f"INSERT INTO {table} {sql}", values)


_N = "number + {start:Int64}"
_TEXT = (
    "arrayStringConcat(arrayMap(i -> {words:Array(String)}[1 + cityHash64(i, SALT, n) % length({words:Array(String)})],"
    " range(10 + n % 20)), ' ')"
)
_START = "toInt64({now:Int64} - ({total:Int64} - n) * intDiv({days:Int64} * 86400000000000, {total:Int64}) - cityHash64(n) % 1000000)"
_ROOT = f"""
SELECT {_N} AS n, {{project:String}} AS project_id, lower(hex(MD5(toString(n)))) AS trace_id,
    substring(lower(hex(MD5(concat('s', toString(n))))), 1, 16) AS span_id, {_START} AS start_ns,
    start_ns + 50000000 + cityHash64(n, 2) % 4000000000 AS end_ns, start_ns + 40000000 AS first_token_ns,
    'chat' AS name, 'llm' AS kind, if(cityHash64(n, 8) % 40 = 0, 'error', 'ok') AS status, if(cityHash64(n, 8) % 40 = 0, 502, 200) AS status_code,
    if(cityHash64(n, 8) % 40 = 0, 'provider_failed', '') AS error_type, concat('shop', toString(n % 8)) AS endpoint,
    1 + intDiv(n * 5, {{total:Int64}}) AS release, release AS requested_release,
    if(n % 10 = 0, 'canary', 'primary') AS arm, 'openai' AS provider,
    {{models:Array(String)}}[1 + cityHash64(n, 3) % length({{models:Array(String)}})] AS served_model,
    served_model AS requested_model, 'support' AS prompt_name, 3 AS prompt_version,
    20 + cityHash64(n, 4) % 500 AS input_tokens, 5 + cityHash64(n, 5) % 300 AS output_tokens,
    cityHash64(n, 6) % 90000 AS cost_micros, concat('session-', toString(intDiv(n, 4))) AS session_id,
    concat('user-', toString(cityHash64(n, 7) % 5000)) AS subject_id, true AS streamed, n % 50 != 0 AS live,
    [concat('tag', toString(n % 20))] AS tags,
    concat({_TEXT.replace("SALT", "1")}, ' ticket', leftPad(toString(n), 6, '0')) AS asked, {_TEXT.replace("SALT", "2")} AS answered,
    if(n % 9 = 0, 'gold', 'plain') AS tier,
    [concat('customer.tier=', tier), 'http.route=/v1/chat/completions'] AS facts
FROM numbers({{count:UInt64}})"""
_LISTED = ", ".join(schema.LISTED_COLUMNS)
_CALLS = ", ".join(f"calls.{name}" for name in schema.CALL_COLUMNS)
_ABSENT = {
    "cached_tokens": "0",
    "key_id": "''",
    "listed_ns": "start_ns",
    "spans": "if(n % 5 = 0, 6, 1)",
    "errors": "status = 'error'",
}
_ABSENT |= {"cache_hit": "false"}


def _made(columns: tuple[str, ...], form: str = "{}") -> str:
    return ", ".join(form.format(_ABSENT.get(name, name)) for name in columns)


_SHARED = (
    "input_messages, output_messages, parameters, attributes, project_id, trace_id, span_id, parent_id, name, kind,"
    " start_ns, end_ns, status, endpoint, release, requested_model, served_model, input_tokens, output_tokens, session_id,"
    " subject_id, tags, live, facts"
)
_SAID = (
    (
        "toJSONString([map('role', 'user', 'content', asked)]), toJSONString([map('role', 'assistant', 'content', answered)]),"
        " '{{\"temperature\": 0.2}}', toJSONString(map('customer.tier', tier, 'http.route', '/v1/chat/completions'))"
    )
    .replace("{{", "{")
    .replace("}}", "}")
)
_REST = "endpoint, release, requested_model, served_model, input_tokens, output_tokens, session_id, subject_id, tags, live, facts"
_MADE = {
    f"spans ({_SHARED})": f"""
SELECT {_SAID}, project_id, trace_id, span_id, '', name, kind, start_ns, end_ns, status, {_REST} FROM ({_ROOT})
UNION ALL
SELECT {_SAID}, project_id, trace_id, substring(lower(hex(MD5(concat('c', toString(n), toString(step))))), 1, 16), span_id,
    concat('step ', toString(step)), if(step % 2 = 0, 'llm', 'tool'), start_ns + step * 1000000, end_ns, status, {_REST}
FROM ({_ROOT}) ARRAY JOIN range(5) AS step WHERE n % 5 = 0""",
    f"traces ({_LISTED}, preview_input, preview_output, text, facts, version, {_CALLS})": f"""
SELECT {_made(schema.LISTED_COLUMNS)}, asked, answered, concat(asked, '\\n', answered), facts, n,
    {_made(schema.CALL_COLUMNS, "[{}]")}
FROM ({_ROOT})""",
    "scores (score_id, project_id, trace_id, name, source, time_ns, number, key)": f"""
SELECT toString(n), project_id, trace_id, 'feedback', 'user', end_ns, toFloat64(n % 2), 'thumb' FROM ({_ROOT}) WHERE n % 100 = 0""",
}

if __name__ == "__main__":
    sys.exit(main())
