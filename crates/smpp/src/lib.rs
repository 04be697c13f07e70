//! SMPP 3.4 and 5.0: frames, PDUs, TLVs, a session state machine without I/O, and a client and server on it
