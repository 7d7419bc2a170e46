"""Policy documents: types, our statements, ownership, equivalence, limits, session policies, plain words. Pure."""
