"""Providers of every kind: presets, options, and keys that come in, are changed, and never go out."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit
from noria.governance.sealing import Sealer
from noria.registry import service
from noria.registry.addresses import check_base_url
from noria.registry.commands_providers import providers
from noria.registry.kinds import KINDS, check_options
from noria.registry.presets import PRESETS
from noria.registry.publish import build
from noria.registry.records import Provider
from noria.registry.snapshot import ProviderEntry, decode, encode, read
from tests.registry.conftest import Client, World

AWS_KEY = "AKIDEXAMPLE123456789:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def added(world: World, name: str, **more: Any) -> Provider:
    return service.add_provider(world.stores, project_id=world.project_id, name=name, actor_id=world.reviewer, **more)


def published(world: World, provider: Provider) -> ProviderEntry:
    return build(world.stores).providers[provider.id]


def opened(world: World, provider: Provider) -> list[str]:
    """The keys as the gateway will read them."""
    sealer = Sealer(world.stores.settings.folder.secret)
    keys = published(world, provider).keys
    return [sealer.unseal(key.sealed, purpose=f"provider:{provider.id}") for key in keys]


def test_keys_are_sealed_for_their_provider_and_have_a_life_of_their_own(world: World) -> None:
    [provider] = service.list_providers(world.stores, world.project_id)
    assert [key.hint for key in provider.keys] == ["…-key"]
    assert opened(world, provider) == ["sk-secret-provider-key"]
    where: dict[str, Any] = {"project_id": world.project_id, "provider": "hosted", "actor_id": world.reviewer}
    second = service.add_key(world.stores, api_key=" sk-another-longer-key ", name="batch", weight=3, **where)
    assert (second.name, second.weight, second.hint) == ("batch", 3, "…-key")
    assert opened(world, provider) == ["sk-secret-provider-key", "sk-another-longer-key"]
    rotated = service.rotate_key(world.stores, key_id=second.id, api_key="sk-a-third-key-1234", **where)
    assert (rotated.id, rotated.weight, rotated.hint) == (second.id, 3, "…1234")
    assert opened(world, provider)[1] == "sk-a-third-key-1234"
    assert service.change_key(world.stores, key_id=second.id, weight=0, **where).name == "batch"
    assert [key.weight for key in published(world, provider).keys] == [1]
    service.change_key(world.stores, key_id=second.id, weight=2, **where)
    service.remove_key(world.stores, key_id=provider.keys[0].id, **where)
    assert opened(world, provider) == ["sk-a-third-key-1234"]
    with pytest.raises(NotFound, match="no such key"):
        service.remove_key(world.stores, key_id=provider.keys[0].id, **where)


def test_what_happens_to_keys_is_in_the_audit_without_them(world: World) -> None:
    [provider] = service.list_providers(world.stores, world.project_id)
    where: dict[str, Any] = {"project_id": world.project_id, "provider": "hosted", "actor_id": world.reviewer}
    key = service.add_key(world.stores, api_key="sk-another-secret-key", reason="more room", **where)
    service.rotate_key(world.stores, key_id=key.id, api_key="sk-third-secret-key", **where)
    service.change_key(world.stores, key_id=key.id, weight=2, **where)
    service.remove_key(world.stores, key_id=key.id, reason="leaked", **where)
    with world.stores.database.read() as connection:
        entries = audit.entries(connection, world.project_id, target_id=provider.id).items
    verbs = ["provider_key.remove", "provider_key.change", "provider_key.rotate", "provider_key.add", "provider.add"]
    assert [entry.verb for entry in entries] == verbs
    assert (entries[0].reason, entries[0].actor_id, entries[0].details["key"]) == ("leaked", world.reviewer, key.id)
    assert "secret" not in str(entries)


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "no key"), ("sk-ключ", "no HTTP header"), ("sk-a\nb", "no HTTP header"), ("x" * 5000, "no HTTP")],
)
def test_what_cannot_be_a_key(world: World, key: str, words: str) -> None:
    where: dict[str, Any] = {"project_id": world.project_id, "provider": "hosted", "actor_id": world.reviewer}
    with pytest.raises(BadInput, match=words):
        service.add_key(world.stores, api_key=key, **where)
    with pytest.raises(BadInput, match="weight"):
        service.add_key(world.stores, api_key="sk-another", weight=1001, **where)


def test_of_an_aws_key_only_the_id_is_hinted_at(world: World) -> None:
    provider = added(world, "aws", preset="bedrock", options={"region": "eu-central-1"}, api_key=AWS_KEY)
    assert provider.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert provider.keys[0].hint == "…6789" and opened(world, provider) == [AWS_KEY]
    where: dict[str, Any] = {"project_id": world.project_id, "provider": "aws", "actor_id": world.reviewer}
    with pytest.raises(BadInput, match="no key of AWS"):
        service.add_key(world.stores, api_key="AKIDEXAMPLE: wJalrXUtn", **where)
    assert service.add_key(world.stores, api_key="ABSKQmVkcm9ja0FQSUtleQ==", **where).hint == "…eQ=="


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_makes_a_provider(world: World, preset: str) -> None:
    row = PRESETS[preset]
    given = {name: "us-east-1" if name == "region" else value for name, value in row.options.items()}
    provider = added(world, f"a-{preset}", preset=preset, base_url=row.example, options=given)
    assert provider.kind == row.kind and provider.base_url.startswith("http")
    assert check_base_url(provider.base_url, allow_private=True) == provider.base_url
    assert set(provider.options.get("speaks", [])) <= set(KINDS[row.kind].speaks)
    entry = published(world, provider)
    assert entry.options == provider.options and not entry.keys
    snapshot = build(world.stores)
    assert decode(encode(snapshot)) == snapshot


def test_a_preset_is_only_a_start(world: World) -> None:
    provider = added(world, "x", preset="vllm", base_url="http://10.0.0.7:9000/v1/", options={"speaks": ["chat"]})
    assert (provider.base_url, provider.options) == ("http://10.0.0.7:9000/v1", {"speaks": ["chat"]})
    with pytest.raises(BadInput, match="kind openai"):
        added(world, "y", preset="vllm", kind="azure")
    with pytest.raises(BadInput, match="no preset"):
        added(world, "y", preset="nobody")
    with pytest.raises(Conflict, match="already"):
        added(world, "x", preset="vllm")


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("nothing", {}, "no kind"),
        ("openai", {"region": "us-east-1"}, "no option 'region'"),
        ("openai", {"speaks": ["chat", "klingon"]}, "speaks"),
        ("openai", {"speaks": "chat"}, "speaks"),
        ("openai", {"headers": {"Authorization": "Bearer x"}}, "cannot be an option"),
        ("openai", {"headers": {"X-Api-Key": "x"}}, "cannot be an option"),
        ("openai", {"headers": {"x-a": "b\r\nc: d"}}, "value that no header"),
        ("openai", {"headers": {"a b": "c"}}, "name of a header"),
        ("openai", {"headers": {"x-a": 1}}, "value that no header"),
        ("bedrock", {}, "needs a region"),
        ("bedrock", {"region": "evil.example/"}, "no region"),
        ("azure", {"api_version": "2024-10-21&x=y"}, "api_version"),
        ("anthropic", {"api_version": "new"}, "api_version"),
        ("local", {"headers": {"a": "b"}}, "no option 'headers'"),
    ],
)
def test_options_that_a_kind_may_not_have(kind: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_options(kind, options)


def test_the_address_follows_the_region_unless_it_was_given(world: World) -> None:
    where: dict[str, Any] = {"project_id": world.project_id, "actor_id": world.reviewer}
    added(world, "aws", preset="bedrock", options={"region": "us-east-1"})
    moved = service.update_provider(world.stores, name="aws", options={"region": "cn-north-1"}, **where)
    assert moved.base_url == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
    service.update_provider(world.stores, name="aws", base_url="https://vpce-1.bedrock.example", **where)
    kept = service.update_provider(world.stores, name="aws", options={"region": "us-west-2"}, **where)
    assert kept.base_url == "https://vpce-1.bedrock.example"


def test_other_options_end_approvals(world: World) -> None:
    release = world.release()
    with world.stores.database.read() as connection:
        assert service.current_digest(connection, release) == release.digest
    where: dict[str, Any] = {"project_id": world.project_id, "actor_id": world.reviewer, "name": "hosted"}
    service.update_provider(world.stores, options={"headers": {"x-tier": "slow"}}, **where)
    with world.stores.database.read() as connection:
        assert service.current_digest(connection, release) != release.digest


def test_a_provider_by_the_api(client: Client, world: World) -> None:
    presets = client.ask("author", "GET", "/api/provider-presets").json()["items"]
    assert {preset["name"] for preset in presets} == set(PRESETS)
    body = {"name": "groq", "preset": "groq", "api_key": "gsk-secret-0123456789", "balance": "least_busy"}
    assert client.ask("admin", "POST", "/api/providers", json=body).status_code == 201
    key = {"api_key": "gsk-secret-another-key", "name": "second", "weight": 2}
    made = client.ask("admin", "POST", "/api/providers/groq/keys", json=key).json()
    path = f"/api/providers/groq/keys/{made['id']}"
    assert client.ask("admin", "PUT", path, json={"api_key": "gsk-secret-rotated-77"}).json()["hint"] == "…d-77"
    assert client.ask("admin", "PATCH", path, json={"weight": 5, "reason": "quota"}).json()["weight"] == 5
    seen = client.ask("author", "GET", "/api/providers/groq")
    assert [key["weight"] for key in seen.json()["keys"]] == [1, 5] and "secret" not in seen.text
    assert seen.json()["options"] == {"speaks": ["chat", "responses"]}
    assert client.ask("admin", "DELETE", path, params={"reason": "done"}).status_code == 204
    assert client.ask("admin", "DELETE", path).status_code == 404
    assert len(client.ask("author", "GET", "/api/providers/groq").json()["keys"]) == 1
    refused = client.ask("admin", "POST", "/api/providers", json={"name": "x", "kind": "azure"})
    assert refused.status_code == 400 and "address" in refused.json()["detail"]


@pytest.mark.parametrize("registry_stores", ["sqlite"], indirect=True)
def test_providers_on_the_command_line(world: World, tmp_path: Path) -> None:
    data = ["--data", str(world.stores.settings.data)]
    file = tmp_path / "key"
    file.write_text("gsk-secret-0123456789\n")

    def run(*arguments: str, **more: Any) -> str:
        done = CliRunner().invoke(providers, [arguments[0], *data, *arguments[1:]], **more, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "https://api.groq.com/openai/v1" in run("add", "groq", "--preset", "groq", "--key-file", str(file))
    assert "…9999" in run("add-key", "groq", "--key-file", "-", "--weight", "3", input="gsk-secret-another-9999")
    with world.stores.database.read() as connection:
        first, second = service.find_provider(connection, world.project_id, "groq").keys
    assert "…7777" in run("rotate-key", "groq", first.id, "--key-file", "-", input="gsk-secret-rotated-7777")
    run("remove-key", "groq", second.id, "--reason", "leaked")
    listed = run("list")
    assert "…7777" in listed and "…9999" not in listed and "secret" not in listed
    found = read(world.stores.settings.folder.snapshot)
    assert found is not None
    assert [len(one.keys) for one in found.providers.values() if one.name == "groq"] == [1]
    assert "openrouter.ai" in CliRunner().invoke(providers, ["presets"]).output
    for arguments in (["add-key", *data, "groq"], ["add-key", *data, "groq", "--key-file", str(tmp_path)]):
        assert CliRunner().invoke(providers, arguments).exit_code != 0


def test_a_strangers_key_id_is_not_found(client: Client, world: World) -> None:
    added(world, "one", preset="groq", api_key="gsk-secret-0123456789")
    other = added(world, "two", preset="groq", api_key="gsk-secret-9876543210")
    path = f"/api/providers/one/keys/{other.keys[0].id}"
    assert client.ask("admin", "DELETE", path).status_code == 404
    assert client.ask("admin", "PUT", path, json={"api_key": "gsk-secret-1111111"}).status_code == 404
    assert opened(world, other) == ["gsk-secret-9876543210"]
