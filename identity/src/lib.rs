//! Who is calling: verified participants and the tokens of outgoing requests.
