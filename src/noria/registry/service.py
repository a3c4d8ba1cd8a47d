"""The verbs of registry, as other slices call them. Each lives in the module of its noun; this is the list.

Reads for handlers take `stores`; what takes a `connection` is part of the caller's transaction.
"""

from noria.registry.approvals import approve, reject
from noria.registry.clauses import check_clauses
from noria.registry.detail import release_detail
from noria.registry.endpoints import (
    change_endpoint,
    create_endpoint,
    find_endpoint,
    history,
    list_endpoints,
    rollout_of,
)
from noria.registry.gates import record_gate
from noria.registry.lineage import record as record_edges
from noria.registry.models import (
    add_model_version,
    ensure_local_base,
    file_of,
    find_model_version,
    get_model_version,
    list_models,
    model_versions,
)
from noria.registry.policies import (
    change_policy,
    check_policy,
    diff_policies,
    get_policy,
    policy_history,
    put_policy,
    restore_policy,
)
from noria.registry.prompts import (
    add_prompt_version,
    create_prompt,
    diff,
    entry_of,
    find_prompt,
    find_prompt_version,
    get_prompt_version,
    list_prompts,
    prompt_versions,
    set_label,
)
from noria.registry.provider_keys import add_key, change_key, remove_key, rotate_key
from noria.registry.providers import add_provider, ensure_local, find_provider, list_providers, update_provider
from noria.registry.readiness import ensure_ready, wake
from noria.registry.releases import (
    create_release,
    current_digest,
    find_release,
    get_release,
    get_release_by_id,
    list_releases,
    mark_evaluated,
    newest_releases,
    resolve_release,
)
from noria.registry.rollouts import canary, promote, retire, rollback, set_share, shadow, unshadow

__all__ = [
    "add_key",
    "add_model_version",
    "add_prompt_version",
    "add_provider",
    "approve",
    "canary",
    "change_endpoint",
    "change_key",
    "change_policy",
    "check_clauses",
    "check_policy",
    "create_endpoint",
    "create_prompt",
    "create_release",
    "current_digest",
    "diff",
    "diff_policies",
    "ensure_local",
    "ensure_local_base",
    "ensure_ready",
    "entry_of",
    "file_of",
    "find_endpoint",
    "find_model_version",
    "find_prompt",
    "find_prompt_version",
    "find_provider",
    "find_release",
    "get_model_version",
    "get_policy",
    "get_prompt_version",
    "get_release",
    "get_release_by_id",
    "history",
    "list_endpoints",
    "list_models",
    "list_prompts",
    "list_providers",
    "list_releases",
    "mark_evaluated",
    "model_versions",
    "newest_releases",
    "policy_history",
    "promote",
    "prompt_versions",
    "put_policy",
    "record_edges",
    "record_gate",
    "reject",
    "release_detail",
    "remove_key",
    "resolve_release",
    "restore_policy",
    "retire",
    "rollback",
    "rollout_of",
    "rotate_key",
    "set_label",
    "set_share",
    "shadow",
    "unshadow",
    "update_provider",
    "wake",
]
