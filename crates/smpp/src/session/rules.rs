//! Which side may send which request in which state (SMPP 3.4 §2.3, table 2-1).

use super::{Role, State};
use crate::command::CommandId;

/// Whether a side in `role` may send this request in `state`. Not for requests that are always allowed (`enquire_link`,
/// `unbind`) and not for those that open a session.
pub(super) fn may_send(role: Role, state: State, request: CommandId) -> bool {
    let State::Bound(kind) = state else { return false };
    match (role, request) {
        (
            Role::Esme,
            CommandId::SUBMIT_SM
            | CommandId::SUBMIT_MULTI
            | CommandId::QUERY_SM
            | CommandId::CANCEL_SM
            | CommandId::REPLACE_SM
            | CommandId::DATA_SM,
        ) => kind.transmits(),
        (Role::Smsc, CommandId::DELIVER_SM | CommandId::DATA_SM | CommandId::ALERT_NOTIFICATION) => {
            kind.receives()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::BindKind;

    #[test]
    fn each_side_may_send_what_table_2_1_says() {
        let receiver = State::Bound(BindKind::Receiver);
        let transmitter = State::Bound(BindKind::Transmitter);
        let transceiver = State::Bound(BindKind::Transceiver);
        let table = [
            (Role::Esme, State::Open, CommandId::SUBMIT_SM, false),
            (Role::Esme, transmitter, CommandId::SUBMIT_SM, true),
            (Role::Esme, transceiver, CommandId::SUBMIT_SM, true),
            (Role::Esme, receiver, CommandId::SUBMIT_SM, false),
            (Role::Esme, transceiver, CommandId::DELIVER_SM, false),
            (Role::Esme, receiver, CommandId::DATA_SM, false),
            (Role::Smsc, receiver, CommandId::DELIVER_SM, true),
            (Role::Smsc, transmitter, CommandId::DELIVER_SM, false),
            (Role::Smsc, transceiver, CommandId::SUBMIT_SM, false),
            (Role::Smsc, receiver, CommandId::DATA_SM, true),
            (Role::Smsc, receiver, CommandId::ALERT_NOTIFICATION, true),
            (Role::Esme, State::Closed, CommandId::SUBMIT_SM, false),
        ];
        for (role, state, request, allowed) in table {
            assert_eq!(
                may_send(role, state, request),
                allowed,
                "{role:?} {state:?} {request}"
            );
        }
    }
}
