"""LiteLLM's config.yaml, read into a plan.

A model group (`model_name`) becomes an endpoint. Its deployments at one place become the keys of one provider; what differs
in place, model or parameters becomes a release of its own: the first serves, the others are fallbacks, followed by
the groups that `fallbacks` names. The decision to know: LiteLLM shares traffic between unlike deployments, Noria asks
the first and falls back to the next, because traffic is shared between releases only on purpose, as a canary.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from noria.core.errors import BadInput
from noria.registry.moving.litellm_models import Deployment, Environment, deployment
from noria.registry.moving.plan import Plan, PlannedEndpoint, PlannedKey, PlannedRelease, free_name, name_from

SOURCE: Final = "litellm config.yaml"
_MOST: Final = 5_000_000
_MOST_RETRIES: Final = 5
_MOST_FALLBACKS: Final = 8
_SPREADS: Final = {"simple-shuffle": "weighted", "least-busy": "least_busy"}
_TRACED: Final = "every request is a span in Noria already; connect other tools with OpenTelemetry"
_LIMITS: Final = {"rpm": "requests_per_minute", "tpm": "tokens_per_minute", "max_parallel_requests": "concurrent"}
_WHY: Final[Mapping[str, Mapping[str, str]]] = {
    "general_settings": {
        "master_key": "Noria has no master key; make keys with `noria keys create`",
        "database_url": "keys, teams and budgets of LiteLLM's database are not imported; make them anew",
        "alerting": "alerts are monitors of Noria, not settings of its gateway",
        "max_parallel_requests": "it limits each deployment of LiteLLM; limit endpoints, keys or the project",
        "pass_through_endpoints": "Noria has no pass-through routes",
    },
    "litellm_settings": {
        "success_callback": _TRACED,
        "failure_callback": _TRACED,
        "callbacks": _TRACED,
        "service_callback": _TRACED,
        "drop_params": "fields that the provider does not know are passed on, not dropped",
        "modify_params": "requests are translated between dialects, not changed to please a provider",
        "set_verbose": "see the setting log_level",
        "json_logs": "see the setting log_level",
        "max_budget": "limit the project: `noria project limits`",
        "budget_duration": "limit the project: `noria project limits`",
        "guardrails": "guardrails are part of an endpoint's policy; choose them there",
        "turn_off_message_logging": "spans hold messages; what is kept is a matter of retention and masking",
        "content_policy_fallbacks": "an answer that a provider filtered is an answer, so it falls back to nothing",
        "context_window_fallbacks": "a prompt that is too long is the caller's error, so it falls back to nothing",
    },
    "router_settings": {
        "redis_host": "several gateways share their counters through the setting counters_url",
        "redis_port": "several gateways share their counters through the setting counters_url",
        "redis_password": "several gateways share their counters through the setting counters_url",
        "redis_url": "several gateways share their counters through the setting counters_url",
        "enable_pre_call_checks": "Noria does not count tokens before it asks",
        "content_policy_fallbacks": "an answer that a provider filtered is an answer, so it falls back to nothing",
        "context_window_fallbacks": "a prompt that is too long is the caller's error, so it falls back to nothing",
        "retry_policy": "retries are the same for all failures that may pass: see the endpoint's policy",
    },
}
_TOP: Final = frozenset(
    {"model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables"}
)


def read(text: str, variables: Mapping[str, str]) -> Plan:
    """The plan for a configuration; `variables` is this process's environment. Raises BadInput when it is none."""
    raw = _parsed(text)
    environment = Environment({**variables, **_texts(raw.get("environment_variables"))})
    reading = _Reading(raw, environment)
    reading.models()
    reading.endpoints()
    reading.rest()
    return reading.plan


def _parsed(text: str) -> Mapping[str, Any]:
    if len(text) > _MOST:
        raise BadInput("That file is larger than any configuration.", hint="Give LiteLLM's config.yaml.")
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise BadInput(f"The file is no YAML{where}.", hint="Give LiteLLM's config.yaml.") from None
    if not isinstance(raw, Mapping) or not isinstance(raw.get("model_list"), list):
        raise BadInput("The file has no model_list.", hint="Give LiteLLM's config.yaml.")
    return raw


class _Reading:
    """One configuration under way."""

    def __init__(self, raw: Mapping[str, Any], environment: Environment) -> None:
        self.plan = Plan(SOURCE)
        self._raw = raw
        self._environment = environment
        self._router = _mapping(raw.get("router_settings"))
        self._settings = _mapping(raw.get("litellm_settings"))
        self._groups: dict[str, list[Deployment]] = {}
        self._chains: dict[str, list[PlannedRelease]] = {}
        self._made: dict[str, PlannedEndpoint] = {}
        self._used: set[str] = set()

    def models(self) -> None:
        """Deployments by group."""
        for number, entry in enumerate(self._raw["model_list"], 1):
            group = str(entry.get("model_name") or "") if isinstance(entry, Mapping) else ""
            what = f"model_list[{number}] ({group})" if group else f"model_list[{number}]"
            if not isinstance(entry, Mapping) or not group:
                self.plan.left(what, "it has no model_name")
                continue
            try:
                found = deployment(entry, self._environment)
            except BadInput as error:
                self.plan.left(what, error.message)
                continue
            self._groups.setdefault(group, []).append(found)
            for name, why in found.left:
                self.plan.left(f"{what}: {name}", why)

    def endpoints(self) -> None:
        """One for each group, then one for each alias."""
        for group, deployments in self._groups.items():
            self._chains[group] = self._releases(group, sorted(deployments, key=lambda one: one.order))
        fallbacks, default = self._fallbacks()
        for group, deployments in self._groups.items():
            self._endpoint(group, deployments, fallbacks.get(group, default))
        for alias, target in _mapping(self._router.get("model_group_alias")).items():
            self._alias(str(alias), target)

    def _releases(self, group: str, deployments: list[Deployment]) -> list[PlannedRelease]:
        """The group's releases: deployments that differ in nothing but their key are one."""
        alike: list[list[Deployment]] = []
        for one in deployments:
            for others in alike:
                first = others[0]
                if (one.place, one.model, one.parameters) == (first.place, first.model, first.parameters):
                    others.append(one)
                    break
            else:
                alike.append([one])
        releases = []
        for same in alike:
            keys: dict[str, PlannedKey] = {}
            for one in same:
                if one.key is not None:
                    keys.setdefault(one.key.name or one.key.secret, one.key)
            place = same[0].place
            provider = self.plan.provider(
                place.name,
                kind=place.kind,
                base_url=place.base_url,
                options=place.options,
                keys=list(keys.values()),
                balance=self._balance(),
            )
            made = PlannedRelease(provider, same[0].model, same[0].parameters, price=same[0].price)
            releases.append(made)
            if len(same) > max(1, len(keys)):
                self.plan.changed(f"{group}: {len(same)} deployments of {made.model}", "they are one release here")
        return releases

    def _endpoint(self, group: str, deployments: list[Deployment], others: list[str]) -> None:
        name = self._named(group)
        chain = list(self._chains[group])
        if len(chain) > 1:
            self.plan.changed(
                f"{group}: {len(chain)} unlike deployments",
                f"{chain[0].model} of {chain[0].provider.name} serves, the others are its fallbacks in their order",
            )
        for other in others:
            known = self._chains.get(other)
            if known is None:
                self.plan.left(f"fallback from {group} to {other}", "that model group was not taken over")
            for release in known or ():
                if not any(release.same_as(one) for one in chain):
                    chain.append(release)
        for beyond in chain[_MOST_FALLBACKS + 1 :]:
            self.plan.left(f"fallback of {group} to {beyond.model}", f"an endpoint has at most {_MOST_FALLBACKS}")
        chain = chain[: _MOST_FALLBACKS + 1]
        policy = self._policy(group, deployments)
        self._made[group] = PlannedEndpoint(name, chain, list(range(1, len(chain))), policy=policy)
        self.plan.endpoints.append(self._made[group])
        after = " then ".join(f"{one.model} ({one.provider.name})" for one in chain)
        if name != group:
            self.plan.changed(f"endpoint {name}", f'call it model="{name}"; {after}')
        else:
            self.plan.taken(f"endpoint {name}", after)
        if policy:
            self.plan.taken(f"policy of {name}", ", ".join(_told(part, value) for part, value in policy.items()))

    def _alias(self, alias: str, target: Any) -> None:
        """A second name for a group: an endpoint of its own with the same releases."""
        group = str(_mapping(target).get("model") or "") if isinstance(target, Mapping) else str(target)
        if (made := self._made.get(group)) is None:
            self.plan.left(f"model_group_alias {alias}", "its model group was not taken over")
            return
        name = self._named(alias)
        self.plan.endpoints.append(replace(made, name=name))
        self.plan.changed(
            f"endpoint {name}", f"an endpoint of its own with releases and policy like those of {made.name}"
        )

    def _named(self, group: str) -> str:
        name = free_name(name_from(group, "endpoint"), self._used)
        self._used.add(name)
        return name

    def _policy(self, group: str, deployments: list[Deployment]) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        if limits := self._limits(group, deployments):
            parts["limits"] = limits
        if timeouts := self._timeouts(deployments):
            parts["timeouts"] = timeouts
        own = [one.retries for one in deployments if one.retries is not None]
        asked = max(own) if own else _int(self._router.get("num_retries", self._settings.get("num_retries")))
        if asked:
            parts["retries"] = {"attempts": min(asked, _MOST_RETRIES)}
            if asked > _MOST_RETRIES:
                self.plan.changed(f"{group}: num_retries {asked}", f"at most {_MOST_RETRIES} here")
        allowed = _int(self._router.get("allowed_fails", self._settings.get("allowed_fails")))
        if allowed is not None:
            rest = _int(self._router.get("cooldown_time", self._settings.get("cooldown_time"))) or 5
            parts["breaker"] = {"failures": allowed + 1, "window_seconds": 60.0, "open_seconds": float(rest)}
        if cache := self._cache():
            parts["cache"] = cache
        return parts

    def _limits(self, group: str, deployments: list[Deployment]) -> dict[str, int]:
        """Theirs limit a deployment, ours an endpoint: the sum, where every deployment has one."""
        found = {}
        for theirs, ours in _LIMITS.items():
            given = [one.limits[theirs] for one in deployments if theirs in one.limits]
            if given and len(given) == len(deployments):
                found[ours] = sum(given)
                self.plan.changed(f"{group}: {theirs}", f"the endpoint's limit: {sum(given):,} in all")
            elif given:
                self.plan.left(
                    f"{group}: {theirs}", "not every deployment of the group has one, so the sum is no limit"
                )
        return found

    def _timeouts(self, deployments: list[Deployment]) -> dict[str, float]:
        total = max((one.seconds["timeout"] for one in deployments if "timeout" in one.seconds), default=0.0)
        first = max(
            (one.seconds["stream_timeout"] for one in deployments if "stream_timeout" in one.seconds), default=0.0
        )
        total = total or _float(self._router.get("timeout")) or _float(self._settings.get("request_timeout"))
        first = first or _float(self._router.get("stream_timeout"))
        given = {"total": min(total, 86_400.0), "first_byte": min(first, 3_600.0)}
        return {name: seconds for name, seconds in given.items() if seconds}

    def _cache(self) -> dict[str, Any]:
        if self._settings.get("cache") is not True:
            return {}
        params = _mapping(self._settings.get("cache_params"))
        if "semantic" in str(params.get("type", "")) or params.get("mode") == "default_off":
            return {}
        return {"mode": "exact", "ttl_seconds": max(1, min(_int(params.get("ttl")) or 3_600, 2_592_000))}

    def _balance(self) -> str:
        return _SPREADS.get(str(self._router.get("routing_strategy") or "simple-shuffle"), "weighted")

    def _fallbacks(self) -> tuple[dict[str, list[str]], list[str]]:
        """Groups by the group that falls back to them, and those that stand in for all others."""
        found: dict[str, list[str]] = {}
        default: list[str] = []
        for part in (self._router, self._settings):
            for pair in part.get("fallbacks") or ():
                for group, others in _mapping(pair).items():
                    found.setdefault(str(group), []).extend(_names(others))
            default += [one for one in _names(part.get("default_fallbacks")) if one not in default]
        default += found.pop("*", [])
        for group in found.keys() - self._groups.keys():
            self.plan.left(f"fallbacks of {group}", "that model group was not taken over")
        return found, default

    def rest(self) -> None:
        """Everything else: taken over with the endpoints, or a line that says why not."""
        strategy = self._router.get("routing_strategy")
        if strategy and strategy not in _SPREADS:
            self.plan.left("router_settings.routing_strategy", "keys are balanced by weight or least busy here")
        if self._settings.get("cache") is True:
            if self._cache():
                self.plan.changed("litellm_settings.cache", "an exact cache in the policy of each endpoint")
            else:
                self.plan.left(
                    "litellm_settings.cache", "it is semantic or off unless asked for; see the endpoint's policy"
                )
        used = {
            "router_settings": {"routing_strategy", "fallbacks", "default_fallbacks", "num_retries", "timeout"}
            | {"stream_timeout", "allowed_fails", "cooldown_time", "model_group_alias"},
            "litellm_settings": {"cache", "cache_params", "fallbacks", "default_fallbacks", "num_retries"}
            | {"request_timeout", "allowed_fails", "cooldown_time"},
            "general_settings": set(),
        }
        for section, known in used.items():
            for name in sorted(map(str, _mapping(self._raw.get(section)).keys() - known)):
                self.plan.left(f"{section}.{name}", _WHY[section].get(name, "Noria has nothing like it"))
        for name in sorted(map(str, self._raw.keys() - _TOP)):
            why = "import that file too" if name == "include" else "Noria has nothing like it"
            self.plan.left(name, why)


def _told(part: str, value: Mapping[str, Any]) -> str:
    return f"{part} ({', '.join(f'{name} {one}' for name, one in value.items())})"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in _mapping(value).items() if not str(text).startswith("os.environ/")}


def _names(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return [str(one.get("model") if isinstance(one, Mapping) else one) for one in listed]


def _int(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0.0
