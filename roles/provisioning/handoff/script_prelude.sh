set -euo pipefail
umask 077
export AWS_PAGER='' PYTHONUTF8=1

adopt=no
for argument in "$@"; do
  case "$argument" in
    --adopt) adopt=yes ;;
    *)
      printf 'Usage: %s [--adopt]\n  --adopt  go on with roles that are there already and that the portal did not make\n' "$0" >&2
      exit 2
      ;;
  esac
done

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

command -v aws >/dev/null || fail 'The AWS CLI is needed.'
command -v python3 >/dev/null || fail 'Python 3.7 or newer is needed (python3).'

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
backups="$PWD/$name-before-$(date -u +%Y%m%dT%H%M%SZ)"

# Run a command that reads, its answer into $work/answer. Only the AWS error CODE means that there is no such thing:
# then the answer is empty. Any other error ends the script, as "could not read" is not "empty".
# read_answer CODE COMMAND...
read_answer() {
  local code=$1
  shift
  if ! "$@" >"$work/answer" 2>"$work/error"; then
    if ! grep -qF "An error occurred ($code)" "$work/error"; then
      cat "$work/error" >&2
      fail 'Could not read what is there, so nothing more was changed.'
    fi
    : >"$work/answer"
  fi
}

# Run a command that writes. A role that was made a moment ago is not known everywhere yet: AWS then calls it an invalid
# principal, so that is tried again for about a minute.
# write COMMAND...
write() {
  local attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12; do
    if "$@" >"$work/written" 2>"$work/error"; then
      return 0
    fi
    if [ "$attempt" = 12 ] || ! grep -qiF 'invalid principal' "$work/error"; then
      break
    fi
    sleep 5
  done
  cat "$work/error" >&2
  fail 'AWS refused this change; everything before it is done. Correct the cause and run the script again.'
}

# Merge the document in $work/answer with the job in $work/job.json. Sets $verdict to write, delete or unchanged.
merge() {
  verdict=$(python3 -I "$work/merge_by_sid.py" "$work")
}

# Keep the document that is about to be replaced.
# keep NAME
keep() {
  mkdir -p -- "$backups"
  cp -- "$work/before.json" "$backups/$1.json"
  printf '  before: %s\n' "$backups/$1.json"
}

# The role's answer in $work/answer has this ARN, and its tag KEY with VALUE where KEY is not empty.
# check_role ARN KEY VALUE
check_role() {
  python3 -I - "$work/answer" "$@" <<'XACCT_PYTHON' || exit 1
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    role = json.load(file)["Role"]
arn, key, value, adopt = sys.argv[2:6]
if role["Arn"] != arn:
    sys.exit(f"The role of that name is {role['Arn']}, not {arn}: its path differs. Nothing was changed.")
tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
if key and tags.get(key) != value and adopt != "yes":
    sys.exit(f"{arn} is there already, and not marked as made for the portal. If it is the one you mean, run this "
             "script again with --adopt: only the portal's own statements are put in.")
XACCT_PYTHON
}

[ "$(aws sts get-caller-identity --query Account --output text)" = "$account" ] ||
  fail "These credentials are not of account $account."
