"""The bounds of what is accepted, and of what one client may take from the others."""

from __future__ import annotations

from attrs import frozen

from m365gw.config.fields import Octets, Seconds, setting


@frozen(kw_only=True)
class Limits:
    message_size_limit: Octets = setting(
        36700160, "Largest message taken, in octets (35 MiB: what Microsoft 365 takes by default)."
    )
    header_size_limit: Octets = setting(262144, "Largest message header, in octets.")
    line_length_limit: Octets = setting(
        2048, "Longest command line, in octets; AUTH lines may have 12,288."
    )
    recipient_limit: int = setting(1000, "Most recipients of one message.")
    connection_limit: int = setting(1000, "Most connections at a time.")
    connection_reserve: int = setting(
        200,
        "Of these, how many are kept for clients that are known: those in trusted networks of "
        "their listener, and those at addresses where somebody logged in lately.",
    )
    client_connection_limit: int = setting(50, "Most connections at a time from one address.")
    network_connection_limit: int = setting(
        200,
        "Most connections at a time from one network (/24 of IPv4, /48 of IPv6) of clients that "
        "are not known.",
    )
    client_connection_rate_limit: int = setting(
        120, "New connections a minute from one address that is not known."
    )
    hard_error_limit: int = setting(20, "Errors after which a session ends.")
    command_limit: int = setting(1000, "Commands a session may give without sending a message.")
    transaction_limit: int = setting(
        10000, "Messages a session may begin; then its client has to connect anew."
    )
    hopcount_limit: int = setting(50, "Received fields after which a message is taken to loop.")
    command_timeout: Seconds = setting(300.0, "Longest wait for a command.")
    data_timeout: Seconds = setting(180.0, "Longest wait for the next piece of a message.")
    minimal_data_rate: Octets = setting(
        500,
        "Octets a second that a message has to come with on the average; who is slower is cut off "
        "when he is data_timeout behind.",
    )
    tls_timeout: Seconds = setting(30.0, "Longest wait for a TLS handshake.")
    tls_wait: Seconds = setting(
        2.0, 'How long a listener with tls = "auto" waits for TLS to begin before it greets.'
    )
    stress_timeout: Seconds = setting(
        10.0,
        "Longest wait for a command or a handshake of clients that are not known, while they hold "
        "nearly all places they may have.",
    )
    proxy_timeout: Seconds = setting(5.0, "Longest wait for the PROXY header of a load balancer.")
    shutdown_timeout: Seconds = setting(
        30.0, "How long a stop waits for messages in hand, in and out."
    )
    minimal_free_space: Octets = setting(
        104857600, "Free space of the spool below which no mail is taken (452)."
    )
    minimal_free_inodes: int = setting(
        1000, "Files that the spool's disk must still have room for, else no mail is taken (452)."
    )
