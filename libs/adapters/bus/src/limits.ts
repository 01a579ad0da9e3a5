/** EdgeX's largest event (MaxEventSize, 25 000 KB) in base64, in its envelope. */
export const MAX_PAYLOAD_BYTES = 36 << 20;
/** With what its packet has besides: fixed header, topic, packet id (MQTT 3.1.1, section 3.3). */
export const MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES + (66 << 10);
