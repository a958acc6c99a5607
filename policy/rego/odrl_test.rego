# Readable tests of the evaluator, run by Open Policy Agent: `opa test policy/rego`.
package odrl_test

import data.odrl
import rego.v1

# One permission to use for those in Europe, until a moment.
europe := {
	"conflict": "invalid",
	"permissions": [{"id": 0, "actions": ["use"], "targets": [], "root": "n2", "duties": []}],
	"prohibitions": [],
	"obligations": [],
	"atoms": [
		{"id": "n0", "left": "spatial", "operator": "isPartOf", "right": "urn:iso:EU"},
		{"id": "n1", "left": "dateTime", "operator": "lt", "right": 2000},
	],
	"levels": [[{"id": "n2", "op": "and", "of": ["n0", "n1"]}], [], [], [], [], []],
}

in_italy := {
	"request": {"actions": ["read", "use"], "targets": ["urn:ds:1"]},
	"policy": europe,
	"operands": {"spatial": "urn:iso:IT", "dateTime": 1000},
	"relations": {"spatial": {"urn:iso:IT": {"urn:iso:EU": true}}},
	"fixed": {},
	"settled": [],
	"judged": [0, 1],
}

with_policy(change) := object.union(in_italy, {"policy": object.union(europe, change)})

prohibited := {"id": 1, "actions": ["use"], "targets": [], "root": "n1", "duties": []}

test_in_europe_in_time if odrl.decision.allow with input as in_italy

test_the_permission_is_named if odrl.decision.permits == [0] with input as in_italy

test_too_late if {
	late := object.union(in_italy, {"operands": {"dateTime": 2000}})
	not odrl.decision.allow with input as late
}

test_elsewhere if {
	elsewhere := object.union(in_italy, {"relations": {"spatial": {"urn:iso:IT": {"urn:iso:EU": false}}}})
	not odrl.decision.allow with input as elsewhere
}

test_unknown_opens_nothing if {
	unknown := object.union(in_italy, {"fixed": {"n0": null}, "judged": [1]})
	not odrl.decision.allow with input as unknown
	odrl.decision.truths.n2 == null with input as unknown
}

test_unknown_forbids if {
	unknown := object.union(
		with_policy({"permissions": [{"id": 0, "actions": ["use"], "targets": [], "root": "always", "duties": []}], "prohibitions": [object.union(prohibited, {"root": "n0"})]}),
		{"fixed": {"n0": null}, "judged": [1]},
	)
	odrl.decision.forbids == [1] with input as unknown
	not odrl.decision.allow with input as unknown
}

test_another_action if {
	selling := object.union(in_italy, {"request": {"actions": ["sell", "transfer"]}})
	not odrl.decision.allow with input as selling
	odrl.decision.about == [] with input as selling
}

test_another_target if {
	rule := {"id": 0, "actions": ["use"], "targets": ["urn:ds:2"], "root": "n2", "duties": []}
	not odrl.decision.allow with input as with_policy({"permissions": [rule]})
}

test_a_conflict_voids_the_policy if {
	not odrl.decision.allow with input as with_policy({"prohibitions": [prohibited]})
}

test_prohibitions_win_where_the_policy_says_so if {
	not odrl.decision.allow with input as with_policy({"prohibitions": [prohibited], "conflict": "prohibit"})
}

test_permissions_win_where_the_policy_says_so if {
	odrl.decision.allow with input as with_policy({"prohibitions": [prohibited], "conflict": "perm"})
}

test_an_open_duty if {
	rule := {"id": 0, "actions": ["use"], "targets": [], "root": "n2", "duties": [{"id": 0, "root": "always"}]}
	owing := with_policy({"permissions": [rule]})
	not odrl.decision.allow with input as owing
	odrl.decision.allow with input as object.union(owing, {"settled": [0]})
}

test_a_duty_whose_condition_does_not_hold if {
	rule := {"id": 0, "actions": ["use"], "targets": [], "root": "n0", "duties": [{"id": 0, "root": "n1"}]}
	late := object.union(with_policy({"permissions": [rule]}), {"operands": {"dateTime": 2000}})
	odrl.decision.allow with input as late
}

test_an_obligation_is_told if {
	obliged := {"id": 1, "actions": ["delete"], "targets": [], "root": "always", "duties": []}
	odrl.decision.obligations == [1] with input as with_policy({"obligations": [obliged]})
}

test_nothing_permits_nothing if {
	not odrl.decision.allow with input as with_policy({"permissions": []})
}
