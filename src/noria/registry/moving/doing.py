"""A plan carried out: providers, prompts, endpoints, releases, rollouts and policies, made where they are not there yet.

In: a `Plan`. Out: what was done, line by line. The decision to know: each step looks for what it would make and leaves it
when it is there, so an import that was broken off, or waits for somebody's approval, is completed by running it again.
Releases that stand in for another or take a share of the traffic are approved by the person who is named, as the rules of
the house want; without one they wait, and the line says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noria.core.errors import Conflict, NoriaError, NotFound
from noria.registry import prices, provider_keys, publish, service
from noria.registry.moving.plan import Plan, PlannedEndpoint, PlannedProvider, PlannedRelease, free_name
from noria.registry.records import Endpoint, Provider, Release
from noria.stores.connect import Stores

_OVER = frozenset({"retired", "rejected"})
_APPROVED = frozenset({"approved", "canary", "shadow", "primary"})


@dataclass(slots=True)
class Doing:
    """One import under way. `approver_id` is the person who approves, "" when nobody was named."""

    stores: Stores
    project_id: str
    plan: Plan
    approver_id: str
    say: Callable[[str], None]
    _names: dict[str, str] = field(default_factory=dict)
    """Names of providers in the plan, and what they are called here."""

    def run(self) -> None:
        """Raises NoriaError where a step cannot be done; what was done before it stays, and is found again."""
        for provider in self.plan.providers:
            self._provider(provider)
        for endpoint in self.plan.endpoints:
            self._endpoint(endpoint)
        publish.publish(self.stores)

    def _provider(self, wanted: PlannedProvider) -> None:
        known = {one.name: one for one in service.list_providers(self.stores, self.project_id)}
        name, taken = wanted.name, set(self._names.values())
        while name in taken or (name in known and not _same_place(known[name], wanted)):
            taken.add(name)
            name = free_name(wanted.name, taken)
        self._names[wanted.name] = name
        if name in known:
            self.say(f"= provider {name} is there already")
        else:
            service.add_provider(
                self.stores,
                project_id=self.project_id,
                name=name,
                kind=wanted.kind,
                base_url=wanted.base_url,
                options=wanted.options,
                balance=wanted.balance,
                actor_id="",
            )
            self.say(f"+ provider {name} is added")
        for key in wanted.keys:
            if not key.secret or provider_keys.has_key(self.stores, self.project_id, name, key.secret):
                continue
            service.add_key(
                self.stores,
                project_id=self.project_id,
                provider=name,
                api_key=key.secret,
                name=key.name.lower()[:64],
                weight=key.weight,
                reason=self._reason,
                actor_id="",
            )
            self.say(f"+ provider {name} has the key {key.name or 'that the file holds'}, sealed")

    def _endpoint(self, wanted: PlannedEndpoint) -> None:
        try:
            with self.stores.database.read() as connection:
                service.find_endpoint(connection, self.project_id, wanted.name)
            self.say(f"= endpoint {wanted.name} is there already")
        except NotFound:
            with self.stores.database.begin() as connection:
                service.create_endpoint(
                    connection,
                    project_id=self.project_id,
                    name=wanted.name,
                    description=f"Imported from {self.plan.source}.",
                    actor_id="",
                )
            self.say(f"+ endpoint {wanted.name} is made")
        made = [self._release(wanted.name, release) for release in wanted.releases]
        if made:
            self._serve(wanted, made)
            self._policy(wanted, made)

    def _release(self, endpoint: str, wanted: PlannedRelease) -> Release:
        prompt = self._prompt(wanted) if wanted.prompt else ""
        provider = self._names[wanted.provider.name]
        for known in service.list_releases(self.stores, self.project_id, endpoint, limit=500).items:
            same = (known.provider, known.model, known.parameters, known.prompt)
            if same == (provider, wanted.model, wanted.parameters, prompt) and known.state not in _OVER:
                self.say(f"= {endpoint}@{known.number} is there already")
                return known
        with self.stores.database.begin() as connection:
            made = service.create_release(
                connection,
                project_id=self.project_id,
                endpoint=endpoint,
                provider=provider,
                model=wanted.model,
                prompt=prompt,
                parameters=wanted.parameters,
                note=wanted.note or f"Imported from {self.plan.source}.",
                known_prices=prices.table(self.stores.settings.folder.prices),
                actor_id="",
                input_micros=wanted.price.get("input_micros"),
                output_micros=wanted.price.get("output_micros"),
                cached_micros=wanted.price.get("cached_micros"),
                cache_write_micros=wanted.price.get("cache_write_micros"),
                cache_write_1h_micros=wanted.price.get("cache_write_1h_micros"),
            )
        self.say(f"+ {endpoint}@{made.number}: {wanted.model} of {provider}{_priced(made)}")
        return made

    def _prompt(self, wanted: PlannedRelease) -> str:
        """The prompt's newest version, when it says what is wanted, else a new one; as "name@number"."""
        prompt = wanted.prompt
        if prompt is None:
            return ""
        messages = [dict(message) for message in prompt.messages]
        with self.stores.database.begin() as connection:
            where: dict[str, Any] = {"project_id": self.project_id, "name": prompt.name, "actor_id": ""}
            try:
                newest = service.find_prompt(connection, self.project_id, prompt.name).latest
            except NotFound:
                newest = service.create_prompt(connection, **where).latest
            if newest:
                version = service.find_prompt_version(connection, self.project_id, f"{prompt.name}@{newest}")
                if version.messages == messages:
                    return f"{prompt.name}@{newest}"
            number = service.add_prompt_version(connection, format="chat", messages=messages, **where).number
        self.say(f"+ prompt {prompt.name}@{number} is saved")
        return f"{prompt.name}@{number}"

    def _serve(self, wanted: PlannedEndpoint, made: list[Release]) -> None:
        now = self._now(wanted.name)
        where: dict[str, Any] = {"project_id": self.project_id, "endpoint": wanted.name, "reason": self._reason}
        if not now.primary:
            now = service.promote(self.stores, number=made[0].number, actor_id="", **where)
            self.say(f"+ {wanted.name}@{made[0].number} serves")
        elif now.primary != made[0].number:
            self.say(f"- {wanted.name}@{now.primary} serves and goes on serving, not {wanted.name}@{made[0].number}")
        if wanted.canary and now.canary != made[wanted.canary].number:
            self._canary(wanted, made[wanted.canary], where)

    def _canary(self, wanted: PlannedEndpoint, release: Release, where: dict[str, Any]) -> None:
        name = f"{wanted.name}@{release.number}"
        if not self._approved(release):
            self.say(f"- {name} waits for an approval before it takes its {wanted.canary_share:.0%}")
            return
        try:
            service.canary(self.stores, number=release.number, share=wanted.canary_share, actor_id="", **where)
        except Conflict as error:
            self.say(f"- {name} takes no share: {error.message}")
        else:
            self.say(f"+ {name} takes {wanted.canary_share:.0%} of the sessions")

    def _policy(self, wanted: PlannedEndpoint, made: list[Release]) -> None:
        primary = self._now(wanted.name).primary
        parts, numbers = dict(wanted.policy), []
        for place in wanted.fallbacks:
            release = made[place]
            if self._approved(release):
                if release.number != primary:
                    numbers.append(release.number)
            else:
                self.say(f"- {wanted.name}@{release.number} waits for an approval before it can be a fallback")
        if numbers:
            parts["fallbacks"] = numbers
        if not parts:
            return
        before = service.get_policy(self.stores, self.project_id, wanted.name)
        after = service.change_policy(
            self.stores,
            project_id=self.project_id,
            endpoint=wanted.name,
            parts=parts,
            reason=self._reason,
            actor_id="",
        )
        if after.version == before.version:
            self.say(f"= the policy of {wanted.name} says that already")
        else:
            self.say(f"+ the policy of {wanted.name} has {', '.join(sorted(parts))} (version {after.version})")

    def _approved(self, release: Release) -> bool:
        """Whether somebody has said yes to it; the person who was named does."""
        now = service.get_release(self.stores, self.project_id, release.endpoint, release.number)
        if now.state in _APPROVED or not self.approver_id:
            return now.state in _APPROVED
        try:
            with self.stores.database.begin() as connection:
                now = service.approve(
                    connection,
                    project_id=self.project_id,
                    endpoint=release.endpoint,
                    number=release.number,
                    reason=self._reason,
                    actor_id=self.approver_id,
                )
        except NoriaError as error:
            self.say(f"- {release.endpoint}@{release.number} is not approved: {error.message}")
        return now.state in _APPROVED

    def _now(self, endpoint: str) -> Endpoint:
        with self.stores.database.read() as connection:
            return service.find_endpoint(connection, self.project_id, endpoint)

    @property
    def _reason(self) -> str:
        return f"imported from {self.plan.source}"


def _same_place(known: Provider, wanted: PlannedProvider) -> bool:
    return (known.kind, known.base_url, known.options) == (wanted.kind, wanted.base_url, wanted.options)


def _priced(release: Release) -> str:
    return f", prices of {release.price_version}" if release.price_version else ", no price known"
