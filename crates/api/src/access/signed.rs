//! Requests whose key and signature are in the body: read and checked, each in its turn.

use super::parsing::{LONG_BYTES_MIN, NoTurn};
use super::{Access, Requester, TooMany, Turn};
use engine::Engine;

/// A request that names its key and its signature among its parameters, in one wire's words.
pub(crate) trait Signed {
    /// Its parameters.
    type Read;
    /// What is known once its signature is verified.
    type Verified;
    /// Why it is turned away.
    type Refusal: From<TooMany> + From<NoTurn>;

    /// Reads the parameters. What is wrong with them has nothing to do with a credential.
    fn read(&mut self) -> Result<Self::Read, Self::Refusal>;

    /// The key they name; may be empty.
    fn user<'r>(&self, read: &'r Self::Read) -> &'r str;

    /// Looks at key and signature.
    fn verify(&self, read: Self::Read) -> Result<Self::Verified, Self::Refusal>;

    /// Why a credential was not accepted: the label of the metric; `None` when the refusal is about something else.
    fn reason(refusal: &Self::Refusal) -> Option<&'static str>;
}

impl Access {
    /// Reads a request of so many octets and checks its credential when its turn comes. A long one is read and checked on a
    /// separate thread, so that others do not wait for it. `requester` has no key yet.
    ///
    /// # Errors
    /// What the request is refused for; a credential that was not accepted is counted and logged.
    pub(crate) async fn check_credentials<S: Signed>(
        &self,
        engine: &Engine,
        requester: Requester<'_>,
        bytes: usize,
        mut request: S,
    ) -> Result<S::Verified, S::Refusal> {
        let parsing = self.parsing.turn(bytes, requester.client).await?;
        if bytes < LONG_BYTES_MIN {
            let read = parsing.run(|| request.read())?;
            let user = request.user(&read).to_owned();
            let requester = Requester {
                user: &user,
                ..requester
            };
            let turn = self.turns.turn(engine, requester).await?;
            return self.checked(engine, requester, turn, request.verify(read), S::reason);
        }
        // A request that holds much memory does not wait; it is checked on the thread that read it.
        parsing.run(|| {
            let read = request.read()?;
            let user = request.user(&read).to_owned();
            let requester = Requester {
                user: &user,
                ..requester
            };
            let turn = self.turns.turn_now(engine, requester)?;
            self.checked(engine, requester, turn, request.verify(read), S::reason)
        })
    }

    /// Waits for the turn of a request of so many octets; one that is long does not wait.
    ///
    /// # Errors
    /// [`TooMany`], which is counted and logged.
    pub(crate) async fn turn_of(
        &self,
        engine: &Engine,
        requester: Requester<'_>,
        bytes: usize,
    ) -> Result<Turn<'_>, TooMany> {
        if bytes < LONG_BYTES_MIN {
            self.turns.turn(engine, requester).await
        } else {
            self.turns.turn_now(engine, requester)
        }
    }

    /// Ends the turn of a credential that was checked; a rejected one is counted and logged.
    pub(crate) fn checked<T, E>(
        &self,
        engine: &Engine,
        requester: Requester<'_>,
        turn: Turn<'_>,
        checked: Result<T, E>,
        reason: impl FnOnce(&E) -> Option<&'static str>,
    ) -> Result<T, E> {
        if let Some(reason) = checked.as_ref().err().and_then(reason) {
            self.refuse(engine, requester, turn, reason);
        }
        checked
    }
}
