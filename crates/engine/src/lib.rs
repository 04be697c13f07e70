//! The way of a message: accept, queue, route, submit, receipt, schedule
