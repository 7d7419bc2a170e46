"""The facade: from the changes of a plan to the files that an account's owner downloads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roles.provisioning.handoff import cloudformation, console, script, terraform
from roles.provisioning.handoff.rendered import Rendered
from roles.provisioning.handoff.work import Work, work_for
from roles.provisioning.resources import Change
from roles.values.accounts import AccountAccess


@dataclass(frozen=True, slots=True)
class HandoffFile:
    """One file to download. Its text is ASCII.

    `left_out` says in whole sentences what this form does not do and why; the file's own head says it too. `text` is
    empty when nothing is left that this form could do.
    """

    name: str
    content_type: str
    text: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HandoffDocuments:
    """The same work in four forms; the owner needs one of them. `is_empty`: there is nothing to do in the account."""

    cloudformation: HandoffFile
    terraform: HandoffFile
    cli: HandoffFile
    console: HandoffFile

    @property
    def is_empty(self) -> bool:
        """Whether no form has anything to do."""
        return not any(form.text for form in (self.cloudformation, self.terraform, self.cli, self.console))


def documents_for(changes: Iterable[Change], account: AccountAccess) -> HandoffDocuments:
    """Return what the owner of `account` has to do for `changes`, usually those of a `Plan`.

    Where the portal cannot read the account (mode `handoff`), the script, Terraform and the console instructions merge
    with what is there when they run; CloudFormation cannot, and says what it leaves out.
    """
    return documents_of(work_for(changes, account), name=f"xacct-{account.account_id}")


def documents_of(work: Work, *, name: str) -> HandoffDocuments:
    """Return the files of `work`, called `name` with the ending of their form."""
    return HandoffDocuments(
        cloudformation=_file(f"{name}.yaml", "application/yaml", cloudformation.render(work, stack=name)),
        terraform=_file(f"{name}.tf", "text/plain", terraform.render(work)),
        cli=_file(f"{name}.sh", "text/x-shellscript", script.render(work, name=name)),
        console=_file(f"{name}.md", "text/markdown", console.render(work)),
    )


def _file(name: str, content_type: str, rendered: Rendered) -> HandoffFile:
    return HandoffFile(name, content_type, rendered.text, rendered.left_out)
