"""Who may do what: AWS's evaluation of policies. Pure: takes documents and a request's context, gives a verdict."""
