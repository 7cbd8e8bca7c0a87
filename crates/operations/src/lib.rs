//! How the gateway is observed and run: telemetry, health, reports.
