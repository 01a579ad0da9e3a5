export { brokerOptions, type BrokerRoomOptions } from './options.ts';
export { createBroker, foreignSocket, type BrokerPorts, type BrokerRoom } from './broker-room.ts';
