# Decides an ODRL policy that has been compiled to a flat list of comparisons and logical nodes.
#
# input.request    {"actions": [asked for, and all that includes it], "targets": [..]}
# input.policy     {"conflict": "perm" | "prohibit" | "invalid",
#                   "permissions" | "prohibitions" | "obligations":
#                     [{"id", "actions", "targets", "root": node id, "duties": [{"id", "root": node id}]}],
#                   "atoms": [{"id", "left", "operator", "right"}],
#                   "levels": [[{"id", "op": "and" | "or" | "xone", "of": [node ids of lower levels]}], ..]}
# input.operands   {left: value or list of values}
# input.relations  {left: {inner: {outer: true | false | null}}}; whether the one lies in, or is one of, the other
# input.fixed      {id of atom: truth} of those that are not judged, above all those without a value
# input.settled    [ids of duties] that have been done, or need not be done at this moment
# input.judged     [places in policy.atoms] of all the others
#
# A truth is true, false or null; null is "nobody knows" (Kleene's third value).
package odrl

import rego.v1

# --- Comparisons: ODRL 2.2 Vocabulary, Constraint Operators -----------------------------------------------------------

set_of(x) := {e | some e in x} if is_array(x)

set_of(x) := {x} if not is_array(x)

# Values of different kinds are not compared: that they differ says nothing.
alike(l, r) if count({type_name(e) | some e in set_of(l)} | {type_name(e) | some e in set_of(r)}) == 1

ordered(l, r) if {
	is_number(l)
	is_number(r)
}

test("eq", l, r, _) := set_of(l) == set_of(r) if alike(l, r)

else := null

test("neq", l, r, _) := set_of(l) != set_of(r) if alike(l, r)

else := null

test("lt", l, r, _) := l < r if ordered(l, r)

else := null

test("lteq", l, r, _) := l <= r if ordered(l, r)

else := null

test("gt", l, r, _) := l > r if ordered(l, r)

else := null

test("gteq", l, r, _) := l >= r if ordered(l, r)

else := null

test("isAnyOf", l, r, _) := count(set_of(l) & set_of(r)) > 0 if alike(l, r)

else := null

test("isNoneOf", l, r, _) := count(set_of(l) & set_of(r)) == 0 if alike(l, r)

else := null

test("isAllOf", l, r, _) := count(set_of(r) - set_of(l)) == 0 if alike(l, r)

else := null

test("isA", l, r, left) := each_within(l, r, left)

test("isPartOf", l, r, left) := each_within(l, r, left)

test("hasPart", l, r, left) := each_within(r, l, left)

test("isNotPartOf", l, r, left) := all_of({opposite(within(e, r, left)) | some e in set_of(l)})

each_within(inner, outer, left) := all_of({within(e, outer, left) | some e in set_of(inner)})

within(e, outer, left) := any_of({input.relations[left][e][o] | some o in set_of(outer)})

# --- Logic -----------------------------------------------------------------------------------------------------------

all_of(truths) := false if false in truths

all_of(truths) := null if {
	not false in truths
	null in truths
}

all_of(truths) := true if {
	not false in truths
	not null in truths
}

any_of(truths) := true if true in truths

any_of(truths) := null if {
	not true in truths
	null in truths
}

any_of(truths) := false if {
	not true in truths
	not null in truths
}

opposite(null) := null

opposite(truth) := truth == false if truth != null

join("and", truths) := all_of(truths)

join("or", truths) := any_of(truths)

join("xone", truths) := false if holding(truths) > 1

join("xone", truths) := null if {
	holding(truths) < 2
	null in truths
}

join("xone", truths) := holding(truths) == 1 if {
	holding(truths) < 2
	not null in truths
}

holding(truths) := count([1 | some truth in truths; truth == true])

# Rego has no recursion: each level of logical nodes is joined from the levels below.
judged := {atom.id: test(atom.operator, input.operands[atom.left], atom.right, atom.left) |
	some place in input.judged
	atom := input.policy.atoms[place]
}

level_0 := object.union({"always": true}, object.union(input.fixed, judged))

level_1 := object.union(level_0, {n.id: join(n.op, [level_0[i] | some i in n.of]) | some n in input.policy.levels[0]})

level_2 := object.union(level_1, {n.id: join(n.op, [level_1[i] | some i in n.of]) | some n in input.policy.levels[1]})

level_3 := object.union(level_2, {n.id: join(n.op, [level_2[i] | some i in n.of]) | some n in input.policy.levels[2]})

level_4 := object.union(level_3, {n.id: join(n.op, [level_3[i] | some i in n.of]) | some n in input.policy.levels[3]})

level_5 := object.union(level_4, {n.id: join(n.op, [level_4[i] | some i in n.of]) | some n in input.policy.levels[4]})

truths := object.union(level_5, {n.id: join(n.op, [level_5[i] | some i in n.of]) | some n in input.policy.levels[5]})

# --- Rules: ODRL 2.2 Information Model, Permission, Prohibition, Duty, Policy Conflict Strategy ------------------------

about(rule) if {
	some action in rule.actions
	action in input.request.actions
	concerns(rule)
}

concerns(rule) if count(rule.targets) == 0

concerns(rule) if {
	some target in rule.targets
	target in input.request.targets
}

permissions := [rule | some rule in input.policy.permissions; about(rule)]

prohibitions := [rule | some rule in input.policy.prohibitions; about(rule)]

# A permission has to hold for certain; a prohibition and an obligation count unless they certainly do not.
permits := [rule.id | some rule in permissions; truths[rule.root] == true; not owes(rule)]

# A duty is asked for unless its conditions certainly do not hold.
owes(rule) if {
	some duty in rule.duties
	not truths[duty.root] == false
	not duty.id in input.settled
}

forbids := [rule.id | some rule in prohibitions; not truths[rule.root] == false]

obligations := [rule.id | some rule in input.policy.obligations; not truths[rule.root] == false]

default allow := false

allow if {
	count(permits) > 0
	count(forbids) == 0
}

allow if {
	count(permits) > 0
	input.policy.conflict == "perm"
}

decision := {
	"allow": allow,
	"permits": permits,
	"forbids": forbids,
	"about": array.concat([rule.id | some rule in permissions], [rule.id | some rule in prohibitions]),
	"obligations": obligations,
	"truths": truths,
}
