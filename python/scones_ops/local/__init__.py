"""The local AWS: moto's server extended so that the services this project uses really execute."""
