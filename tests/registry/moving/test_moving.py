"""Moving in: whole configurations taken over, told line by line, without a key in what is told, and again without effect."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from noria.core.errors import BadInput
from noria.governance import audit
from noria.governance import service as governance
from noria.governance.sealing import Sealer
from noria.registry import service
from noria.registry.commands_moving import import_
from noria.registry.moving import litellm, tensorzero
from noria.registry.moving.minijinja import converted
from noria.registry.presets import PRESETS
from noria.registry.publish import build
from noria.stores.connect import Stores

FOLDER = Path(__file__).parent
LITELLM = FOLDER / "litellm.yaml"
TENSORZERO = FOLDER / "tensorzero" / "tensorzero.toml"
KEYS = {
    "AZURE_SWEDEN_KEY": "azure-key-for-sweden-0000001",
    "OPENAI_KEY_A": "sk-first-openai-key-0000002",
    "OPENAI_KEY_B": "sk-second-openai-key-0000003",
    "AWS_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    "OPENAI_API_KEY": "sk-default-openai-key-0000004",
    "ANTHROPIC_API_KEY": "sk-ant-default-key-0000005",
    "ACME_GROQ_KEY": "gsk-acme-groq-key-0000006",
}
IN_THE_FILE = ("sk-ant-written-into-the-file-0001", "sk-house-0002", "sk-master-0003", "password-0004")


@dataclass
class House:
    """An installation that imports."""

    stores: Stores
    project_id: str
    admin: str

    def run(self, kind: str, file: Path, *options: str) -> str:
        done: Result = CliRunner(env=KEYS).invoke(
            import_, [kind, str(file), "--data", str(self.stores.settings.data), *options]
        )
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    def releases(self, endpoint: str) -> list[tuple[str, str, str]]:
        """(provider, model, state), oldest first."""
        page = service.list_releases(self.stores, self.project_id, endpoint, limit=100)
        return [(one.provider, one.model, one.state) for one in reversed(page.items)]

    def policy(self, endpoint: str) -> dict[str, Any]:
        return service.get_policy(self.stores, self.project_id, endpoint).policy

    def names(self) -> list[str]:
        return [one.name for one in service.list_endpoints(self.stores, self.project_id, limit=100).items]

    def counts(self) -> tuple[int, ...]:
        providers = service.list_providers(self.stores, self.project_id)
        return (
            len(providers),
            sum(len(one.keys) for one in providers),
            len(self.names()),
            sum(len(self.releases(name)) for name in self.names()),
            sum(service.get_policy(self.stores, self.project_id, name).version for name in self.names()),
        )


@pytest.fixture
def house(stores: Stores) -> House:
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        governance.add_person(
            connection,
            project_id=first.project_id,
            email="mina@example.org",
            name="Mina",
            role="reviewer",
            password="a long enough password",
            actor_id="",
        )
    return House(stores, first.project_id, "mina@example.org")


def check_no_key(text: str) -> None:
    for secret in (*KEYS.values(), *IN_THE_FILE):
        assert secret not in text


def test_a_dry_run_tells_everything_and_does_nothing(house: House) -> None:
    told = house.run("litellm", LITELLM, "--dry-run")
    check_no_key(told)
    assert house.counts() == (0, 0, 0, 0, 0)
    for line in (
        "+ provider openai: https://api.openai.com/v1, 2 keys (from OPENAI_KEY_A, from OPENAI_KEY_B)",
        "+ provider anthropic: https://api.anthropic.com/v1, 1 key (as written in the file)",
        "- the key GROQ_API_KEY: it is not set in this environment",
        "- model_list[11] (vertex): Noria has no adapter for Vertex AI",
        "- model_list[12] (openai/*): Noria has no endpoints with a * in their name",
        "- model_list[14] (embeddings): mock_response:",
        "- general_settings.master_key: Noria has no master key",
        "- litellm_settings.callbacks: every request is a span",
        "~ gpt-4.1: rpm: the endpoint's limit: 1,200 in all",
        '~ endpoint bedrock-claude: call it model="bedrock-claude"',
        "Nothing was done.",
    ):
        assert line in told, line


def test_every_setting_of_the_file_is_in_a_line(house: House) -> None:
    told = house.run("litellm", LITELLM, "--dry-run")
    for name in ("redis_host", "drop_params", "callbacks", "cache", "master_key", "database_url"):
        assert name in told, name
    assert "endpoint gpt-4: an endpoint of its own" in told
    assert "policy of gpt-4.1: limits (requests_per_minute 1200, tokens_per_minute 200000)" in told


def test_litellms_models_become_endpoints(house: House) -> None:
    told = house.run("litellm", LITELLM, "--yes", "--approve-as", house.admin)
    check_no_key(told)
    assert house.releases("gpt-4.1") == [
        ("azure-acme-sweden", "gpt-41-sweden", "primary"),
        ("openai", "gpt-4.1", "approved"),
        ("anthropic", "claude-sonnet-4-6", "approved"),
    ]
    assert house.policy("gpt-4.1") == {
        "fallbacks": [2, 3],
        "timeouts": {"total": 90.0},
        "retries": {"attempts": 2},
        "breaker": {"failures": 4, "window_seconds": 60.0, "open_seconds": 30.0},
        "limits": {"requests_per_minute": 1200, "tokens_per_minute": 200_000},
        "cache": {"mode": "exact", "ttl_seconds": 600},
    }
    assert house.policy("claude")["retries"]["attempts"] == 5
    assert house.releases("gpt-4") == house.releases("gpt-4.1")
    assert house.releases("bedrock-claude")[0][1] == "eu.anthropic.claude-sonnet-4-6-v1:0"
    assert house.releases("house-model")[0][0] == "vllm"
    providers = {one.name: one for one in service.list_providers(house.stores, house.project_id)}
    assert [key.weight for key in providers["openai"].keys] == [1, 3]
    assert providers["openai-2"].base_url == providers["openai"].base_url, "other keys, so another provider"
    assert providers["azure-acme-sweden"].options["api_version"] == "2024-10-21"
    assert providers["vllm"].keys == []
    fast = service.get_release(house.stores, house.project_id, "fast", 1)
    assert (fast.input_micros, fast.output_micros) == (590_000, 790_000)
    assert fast.parameters == {"temperature": 0.2}
    claude = service.get_release(house.stores, house.project_id, "claude", 1)
    assert (claude.cached_micros, claude.price_version) == (300_000, "2026-11")


def test_keys_are_sealed_as_they_were(house: House) -> None:
    house.run("litellm", LITELLM, "--yes")
    sealer = Sealer(house.stores.settings.folder.secret)
    kept = {
        one.name: [sealer.unseal(key.sealed, purpose=f"provider:{one.id}") for key in one.keys]
        for one in build(house.stores).providers.values()
    }
    assert kept["openai"] == [KEYS["OPENAI_KEY_A"], KEYS["OPENAI_KEY_B"]]
    assert kept["anthropic"] == [IN_THE_FILE[0]]
    assert kept["bedrock-eu-central-1"] == [f"{KEYS['AWS_ID']}:{KEYS['AWS_SECRET']}"]
    assert kept["groq"] == []


def test_an_import_is_completed_by_running_it_again(house: House) -> None:
    waiting = house.run("litellm", LITELLM, "--yes")
    assert "gpt-4.1@2 waits for an approval before it can be a fallback" in waiting
    assert "fallbacks" not in house.policy("gpt-4.1")
    completed = house.run("litellm", LITELLM, "--yes", "--approve-as", house.admin)
    assert house.policy("gpt-4.1")["fallbacks"] == [2, 3]
    check_no_key(completed)
    before = house.counts()
    again = house.run("litellm", LITELLM, "--yes", "--approve-as", house.admin)
    assert house.counts() == before
    done = again.partition("Do it?")[2] or again.partition("general_settings.master_key")[2]
    assert not re.search(r"^ {2}\+", done, re.MULTILINE), done


def test_nothing_is_done_without_a_yes(house: House) -> None:
    done = CliRunner(env=KEYS).invoke(
        import_, ["litellm", str(LITELLM), "--data", str(house.stores.settings.data)], input="n\n"
    )
    assert done.exit_code == 1
    assert house.counts() == (0, 0, 0, 0, 0)


def test_a_provider_that_is_elsewhere_is_not_touched(house: House) -> None:
    service.add_provider(
        house.stores,
        project_id=house.project_id,
        name="openai",
        kind="openai",
        base_url="https://proxy.example.com/v1",
        actor_id="",
    )
    house.run("litellm", LITELLM, "--yes")
    providers = {one.name: one for one in service.list_providers(house.stores, house.project_id)}
    assert providers["openai"].base_url == "https://proxy.example.com/v1"
    assert len(providers["openai"].keys) == 0
    before = house.counts()
    house.run("litellm", LITELLM, "--yes")
    assert house.counts() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "no YAML"),
        ("- 1", "no model_list"),
        ("model_list: {a: 1}", "no model_list"),
        ("a: !!python/object/apply:os.system ['true']", "no YAML"),
    ],
)
def test_what_is_no_configuration_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput) as raised:
        litellm.read(text, {})
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("params", "kind", "url", "model"),
    [
        ({"model": "gpt-4o"}, "openai", "https://api.openai.com/v1", "gpt-4o"),
        ({"model": "claude-3-haiku"}, "anthropic", "https://api.anthropic.com/v1", "claude-3-haiku"),
        (
            {"model": "anthropic/c", "api_base": "https://proxy.example.com"},
            "anthropic",
            "https://proxy.example.com/v1",
            "c",
        ),
        ({"model": "together_ai/meta-llama/L"}, "openai", PRESETS["together"].base_url, "meta-llama/L"),
        ({"model": "fireworks_ai/accounts/f/m"}, "openai", "https://api.fireworks.ai/inference/v1", "accounts/f/m"),
        ({"model": "deepseek/deepseek-flash"}, "openai", PRESETS["deepseek"].base_url, "deepseek-flash"),
        ({"model": "xai/grok-4.7"}, "openai", "https://api.x.ai/v1", "grok-4.7"),
        ({"model": "openrouter/anthropic/claude"}, "openai", "https://openrouter.ai/api/v1", "anthropic/claude"),
        ({"model": "mistral/mistral-large-2512"}, "openai", "https://api.mistral.ai/v1", "mistral-large-2512"),
        ({"model": "m", "custom_llm_provider": "groq"}, "openai", "https://api.groq.com/openai/v1", "m"),
        ({"model": "openai/m", "api_base": "os.environ/BASE"}, "openai", "https://inference.example.com/v1", "m"),
        (
            {"model": "bedrock/us-east-1/anthropic.c"},
            "bedrock",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "anthropic.c",
        ),
    ],
)
def test_where_litellms_models_run(params: dict[str, Any], kind: str, url: str, model: str) -> None:
    text = json.dumps({"model_list": [{"model_name": "one", "litellm_params": params}]})
    plan = litellm.read(text, {"BASE": "https://inference.example.com/v1"})
    release = plan.endpoints[0].releases[0]
    assert (release.provider.kind, release.provider.base_url, release.model) == (kind, url, model)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"model": "openai/m", "api_base": "os.environ/NOWHERE"}, "NOWHERE, which is not set"),
        ({"model": "bedrock/anthropic.c"}, "AWS region is not given"),
        ({"model": "azure/d", "api_key": "k"}, "an address of its own"),
        ({"model": "openai/m", "extra_headers": {"x-api-key": "sk-in-a-header-0009"}}, "cannot be an option"),
        ({}, "no litellm_params.model"),
    ],
)
def test_what_cannot_be_taken_over_says_why(params: dict[str, Any], said: str) -> None:
    plan = litellm.read(json.dumps({"model_list": [{"model_name": "one", "litellm_params": params}]}), {})
    assert plan.endpoints == []
    assert said in plan.lines[0].text()
    assert "0009" not in plan.lines[0].text()


def test_tensorzeros_functions_become_endpoints(house: House) -> None:
    told = house.run("tensorzero", TENSORZERO, "--yes", "--approve-as", house.admin)
    check_no_key(told)
    assert house.names() == ["draft_email", "extract", "vectors"]
    assert house.releases("draft_email") == [
        ("openai", "gpt-5-mini", "primary"),
        ("anthropic", "claude-sonnet-4-6", "canary"),
    ]
    with house.stores.database.read() as connection:
        draft = service.find_endpoint(connection, house.project_id, "draft_email")
        prompt = service.find_prompt_version(connection, house.project_id, "draft_email-mini@1")
    assert (draft.canary, draft.canary_share) == (2, 0.25)
    assert prompt.messages == [
        {"role": "system", "content": "You write emails for {{company}}.\nTone: {{tone.name}}.\n"},
        {"role": "messages"},
    ]
    assert house.policy("draft_email") == {"retries": {"attempts": 2, "most_ms": 4000}}
    careful = service.get_release(house.stores, house.project_id, "draft_email", 2)
    assert careful.parameters == {"max_tokens": 800, "stop": ["END"]}
    assert (careful.input_micros, careful.output_micros) == (2_500_000, 12_000_000)
    assert house.releases("extract") == [
        ("groq", "llama-3.3-70b-versatile", "primary"),
        ("vllm", "acme/llama-tuned", "approved"),
    ]
    assert house.policy("extract") == {"fallbacks": [2]}
    extract = service.get_release(house.stores, house.project_id, "extract", 1)
    assert extract.parameters["response_format"]["json_schema"]["schema"]["required"] == ["name"]
    assert extract.parameters["tools"][0]["function"]["name"] == "look_up"
    for line in (
        "functions.draft_email.variants.best: a variant of type 'experimental_best_of_n_sampling'",
        "functions.draft_email.variants.looping: its template looping.minijinja: line 2 has a {% for %}",
        "functions.gone: none of its variants could be taken over",
        "metrics: feedback needs no declaration here",
    ):
        assert f"- {line}" in told, line
    before = house.counts()
    house.run("tensorzero", TENSORZERO, "--yes", "--approve-as", house.admin)
    assert house.counts() == before


@pytest.mark.parametrize(
    ("template", "ours"),
    [
        ("Hello {{ name }}, {{a.b}}!", "Hello {{name}}, {{a.b}}!"),
        ("no variables {# and a remark #}at all", "no variables at all"),
    ],
)
def test_templates_that_only_put_values_in(template: str, ours: str) -> None:
    assert converted(template) == ours


@pytest.mark.parametrize(
    "template", ["{{ name | upper }}", "{{ a + b }}", "{% if a %}x{% endif %}", "{{ f() }}", "{{- a -}}", "{{ a[0] }}"]
)
def test_templates_that_compute_are_not_taken_over(template: str) -> None:
    with pytest.raises(BadInput):
        converted(f"one\n{template}")


def test_templates_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("a secret")
    folder = tmp_path / "config"
    folder.mkdir()
    file = folder / "tensorzero.toml"
    file.write_text(
        '[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\n'
        'model = "openai::m"\nsystem_template = "../secret.txt"\n'
    )
    plan = tensorzero.read(file, {})
    assert plan.endpoints == []
    assert any("outside" in line.text() for line in plan.lines)


def test_the_import_is_in_the_audit(house: House) -> None:
    house.run("litellm", LITELLM, "--yes", "--approve-as", house.admin)
    with house.stores.database.read() as connection:
        verbs = {entry.verb for entry in audit.entries(connection, house.project_id, limit=500).items}
    assert {"provider.add", "provider_key.add", "endpoint.create", "release.create", "release.approve"} <= verbs
