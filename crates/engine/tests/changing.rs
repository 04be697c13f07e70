//! What changes while messages wait: nothing of what waits may be lost or stand still.

mod house;

use engine::CarrierNo;
use engine::catalog::{CarrierSettings, SmppSettings};
use engine::queue::QueueLimits;
use engine::sms::state::MessageState as State;
use house::{Act, House, PLAIN, Smsc, numbers, smpp};
use store::{Carrier, CatalogChange, Store};

fn carrier_1(settings: SmppSettings) -> CatalogChange {
    CatalogChange::PutCarrier(Carrier {
        no: CarrierNo(1),
        name: "carrier-1".into(),
        settings: serde_json::to_value(CarrierSettings::Smpp(Box::new(settings))).unwrap(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_changed_again_and_again_over_a_backlog_sends_all_of_it() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    // Small lanes: nearly everything is read from the store, so a change often meets a read under way.
    let queue = QueueLimits {
        lane_messages_max: 8,
        ready_messages_max: 16,
        ..QueueLimits::default()
    };
    let house = House::with_queue(vec![smpp(smsc.port)], queue).await;
    let outcome = house.send(PLAIN, &numbers(4_000)).await;
    for rate in 0..60 {
        let settings = SmppSettings {
            rate_per_s_max: 100_000 + rate,
            ..smpp(smsc.port)
        };
        house
            .store
            .change_catalog(vec![carrier_1(settings)])
            .await
            .unwrap();
        house.engine.reload_catalog().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(rate as u64 % 7)).await;
    }
    house
        .until(&outcome, "delivered", |message| {
            matches!(message.state, State::Delivered | State::Submitted)
        })
        .await;
    assert_eq!(smsc.times().len(), 4_000);
}
