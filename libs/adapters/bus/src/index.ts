export {
  createBroker,
  type Broker,
  type BrokerCounters,
  type BrokerListener,
  type BrokerOptions,
} from './broker.ts';
export type { TlsSide } from './tls-front.ts';
export type { BearerRights, BusRights } from './broker-clients.ts';
export { contractLogin, contractPassword } from './broker-access.ts';
export { MAX_PACKET_BYTES } from './limits.ts';
export { createLocalBus, type LocalBusLimits } from './local-bus.ts';
export { createMqttBus, type MqttBusLimits } from './mqtt-bus.ts';
export { createMqttReader, type MqttReader } from './mqtt-reader.ts';
export { createMqttSender, type MqttMessage, type MqttSender } from './mqtt-sender.ts';
export type { MqttAddress } from './mqtt-connection.ts';
