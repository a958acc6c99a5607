//! From verified credentials to the claims that policies are decided with.
