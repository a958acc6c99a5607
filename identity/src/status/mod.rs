//! Status lists: Bitstring Status List 1.0 and StatusList2021.
