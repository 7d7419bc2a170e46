"""What programs on people's computers ask the portal: with a bearer, never with a cookie; answered in JSON.

Knows tokens and what is below; never the other surfaces.
"""
