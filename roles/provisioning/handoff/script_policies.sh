# Read what the policy ARN says into $work/answer, empty if there is no such policy. It has to carry the tag KEY = VALUE.
# read_policy ARN KEY VALUE
read_policy() {
  read_answer NoSuchEntity aws iam get-policy --policy-arn "$1" --output json
  if [ -s "$work/answer" ]; then
    check_policy "$@" >"$work/version" || exit 1
    read_answer NoSuchEntity aws iam get-policy-version --policy-arn "$1" --version-id "$(cat "$work/version")" --output json
  fi
}

# Print the default version of the policy in $work/answer, if it has the tag.
# check_policy ARN KEY VALUE
check_policy() {
  python3 -I - "$work/answer" "$@" "$adopt" <<'XACCT_PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    policy = json.load(file)["Policy"]
arn, key, value, adopt = sys.argv[2:6]
tags = {tag["Key"]: tag["Value"] for tag in policy.get("Tags", [])}
if tags.get(key) != value and adopt != "yes":
    sys.exit(f"{arn} is there already, and not marked as made for the portal. If it is, run this script again with "
             "--adopt: all that the policy says is then replaced.")
print(policy["DefaultVersionId"])
XACCT_PYTHON
}

# The ids of the policy's versions that are not the default, the oldest first.
# other_versions ARN
other_versions() {
  aws iam list-policy-versions --policy-arn "$1" --query 'Versions[?!IsDefaultVersion].VersionId' --output text \
    >"$work/versions" || fail "Could not read which versions $1 has."
  tr '\t' '\n' <"$work/versions" | sed -n '/^v/p' | sort -k 1.2n
}

# is_attached ARN ROLE
is_attached() {
  local attached
  attached=$(aws iam list-attached-role-policies --role-name "$2" --query 'AttachedPolicies[].PolicyArn' --output text) ||
    fail "Could not read which policies $2 has."
  tr '\t' '\n' <<<"$attached" | grep -qxF -- "$1"
}

# Make the policy ARN say what is in $work/job.json, and attach it to the role. AWS keeps five versions of a policy.
# put_policy ARN ROLE PATH KEY VALUE
put_policy() {
  local arn=$1 role=$2 policy=${1##*/} versions
  read_policy "$arn" "$4" "$5"
  merge
  if [ "$verdict" = unchanged ]; then
    echo "  $policy: in order"
  elif [ ! -s "$work/answer" ]; then
    write aws iam create-policy --policy-name "$policy" --path "$3" --tags "Key=$4,Value=$5" \
      --policy-document "file://$work/after.json"
    echo "  $policy: created"
  else
    keep "policy-$policy"
    versions=$(other_versions "$arn")
    if [ "$(grep -c . <<<"$versions")" -ge 4 ]; then
      write aws iam delete-policy-version --policy-arn "$arn" --version-id "${versions%%$'\n'*}"
    fi
    write aws iam create-policy-version --policy-arn "$arn" --set-as-default \
      --policy-document "file://$work/after.json"
    echo "  $policy: written"
  fi
  if ! is_attached "$arn" "$role"; then
    write aws iam attach-role-policy --role-name "$role" --policy-arn "$arn"
    echo "  $policy: attached to $role"
  fi
}

# Detach the policy ARN from the role and delete it, if it is there. AWS refuses while it is attached to anybody else.
# remove_policy ARN ROLE KEY VALUE
remove_policy() {
  local arn=$1 role=$2 policy=${1##*/} version versions
  read_policy "$arn" "$3" "$4"
  if [ ! -s "$work/answer" ]; then
    echo "  $policy: there is no such policy"
    return 0
  fi
  merge
  keep "policy-$policy"
  if is_attached "$arn" "$role"; then
    write aws iam detach-role-policy --role-name "$role" --policy-arn "$arn"
  fi
  versions=$(other_versions "$arn")
  for version in $versions; do
    write aws iam delete-policy-version --policy-arn "$arn" --version-id "$version"
  done
  write aws iam delete-policy --policy-arn "$arn"
  echo "  $policy: deleted"
}
