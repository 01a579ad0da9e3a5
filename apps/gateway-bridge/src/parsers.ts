// What reads the bytes that come from outside, for the tools that try it with bad ones.
export { parseDatagram } from './semtech/packet.ts';
export { readPushData } from './semtech/push-data.ts';
export { readTxAck } from './semtech/tx-ack.ts';
export { commandDownOf } from './bus/command-down.ts';
export { decodeMessage, encodeMessage } from './bus/protobuf.ts';
export { uplinkEvent } from './bus/event-up.ts';
export { decodeRecord, encodeControl, encodeFrame } from './ring/record.ts';
export { frameSchema, toWire } from './ring/wire.ts';
