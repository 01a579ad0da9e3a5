// A module of its own, to be loaded when first wanted: a bundle gives what is loaded late of a CommonJS package no names.
export { MqttClient } from 'mqtt';
