"""Account ids, regions, external ids."""

from __future__ import annotations

import pytest

from roles.errors import InputError, InvalidAccountId
from roles.values.accounts import (
    Partition,
    account_id,
    external_id,
    new_external_id,
    partition_of_region,
    region_name,
)


@pytest.mark.parametrize(
    "text",
    ["", "11111111111", "1111111111111", "11111111111a", " 111111111111", "111111111111\n", "１１１１１１１１１１１１"],
)
def test_what_is_not_twelve_ascii_digits_is_no_account_id(text: str) -> None:
    with pytest.raises(InvalidAccountId) as refused:
        account_id(text, field="owner")
    assert refused.value.field == "owner"
    assert "12 digits" in refused.value.hint


@pytest.mark.parametrize("text", ["000000000012", "111111111111"])
def test_an_account_id_is_text_and_keeps_its_leading_zeros(text: str) -> None:
    assert account_id(text) == text


@pytest.mark.parametrize("text", ["", "useast1", "us-east-1\n", "US-EAST-1", "us-east-1 ", "us-east-١"])
def test_what_does_not_look_like_a_region_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not an AWS region"):
        region_name(text)


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws-cn"), ("cn-north-1", "aws"), ("us-gov-west-1", "aws"), ("eu-west-1", "aws-us-gov")],
)
def test_a_region_of_another_partition_is_refused(region: str, partition: str) -> None:
    with pytest.raises(InputError, match="is not in partition"):
        region_name(region, partition=partition)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", Partition.AWS),
        ("ap-southeast-2", Partition.AWS),
        ("cn-northwest-1", Partition.AWS_CN),
        ("us-gov-east-1", Partition.AWS_US_GOV),
    ],
)
def test_a_region_belongs_to_one_partition(region: str, partition: Partition) -> None:
    assert partition_of_region(region) is partition
    assert region_name(region, partition=partition) == region


@pytest.mark.parametrize("text", ["", "x", "x" * 1225, "a b", "a\n", "ä-1"])
def test_an_external_id_that_sts_would_refuse_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InputError) as refused:
        external_id(text)
    assert refused.value.field == "external_id"


@pytest.mark.parametrize("text", ["ab", "x" * 1224, "portal:_+=,.@/-1"])
def test_an_external_id_is_taken_as_it_is(text: str) -> None:
    assert external_id(text) == text


def test_new_external_ids_are_valid_long_and_never_the_same() -> None:
    made = {new_external_id() for _ in range(100)}
    assert len(made) == 100
    assert all(external_id(one) == one and len(one) > 40 and one.replace("-", "").isalnum() for one in made)
