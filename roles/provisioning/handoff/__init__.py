"""What account owners are given when the portal may not write to their account.

From the changes of a plan that concern one account, `documents_for` renders exactly what the owner has to do: as a
CloudFormation template, as Terraform, as a script for the AWS CLI, and as the JSON documents with the procedure's own
console instructions. `bootstrap_for` renders the provisioner role that lets the portal do it by itself from then on.

Pure: knows values, plans and policies; no framework, no network, no database.
"""

from roles.provisioning.handoff.bootstrap import bootstrap_for
from roles.provisioning.handoff.documents import HandoffDocuments, HandoffFile, documents_for

__all__ = ["HandoffDocuments", "HandoffFile", "bootstrap_for", "documents_for"]
