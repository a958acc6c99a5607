"""Reads a partner's air quality with ngsildclient, as its users do: from a broker at a host and a port.

    read_with_ngsildclient.py PORT TENANT STATIONS LOUD

STATIONS is how many stations there are to see, LOUD how many of them have more than 45 of no2.
"""
import sys

from ngsildclient import Client
from ngsildclient.api.exceptions import NgsiContextBrokerError, NgsiNotConnectedError, NgsiResourceNotFoundError

AIR = "AirQualityObserved"
port, tenant, stations, loud = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def raises(kind, what):
    try:
        what()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


# The client makes sure that a broker is there, and tries to find out which one.
with Client(hostname="127.0.0.1", port=port, tenant=tenant, tenant_autocreate=False, verbose=False) as client:
    assert client.types.list() == [AIR], client.types.list()
    assert client.count(type=AIR) == stations, client.count(type=AIR)
    pages = client.query(type=AIR, limit=3)
    ids = [entity.id for entity in pages]
    assert len(ids) == len(set(ids)) == stations, ids
    assert {entity.type for entity in pages} == {AIR}
    assert len(client.query_head(type=AIR, n=2)) == min(2, stations)
    assert sum(1 for _ in client.query_generator(type=AIR, limit=2)) == stations
    assert client.count(type=AIR, q="no2>45") == loud == len(client.query(type=AIR, q="no2>45", limit=2))

    query = {"type": "Query", "entities": [{"type": AIR}], "q": "no2>45"}
    assert client.alt.count(query) == loud == len(client.alt.query(query, limit=2))

    first = client.get(ids[0])
    assert first.id == ids[0] and first["no2"]["value"] > 0, first
    assert client.get(ids[0], asdict=True)["no2"]["type"] == "Property"
    assert "pm10" not in first.to_dict(), "the agreement hides it"
    assert client.exists(ids[0]) and not client.exists("urn:ngsi-ld:AirQualityObserved:none")

    series = client.temporal.get(ids[0], attrs=["no2"])
    assert len(series["no2"]["values"]) > 10, series
    all_series = client.temporal.query(type=AIR, attrs=["no2"], lastn=2)
    assert all(1 <= len(one["no2"]["values"]) <= 2 for one in all_series) and all_series

    # What there is not, is not shown or is not admitted is told in the client's own exceptions.
    raises(NgsiResourceNotFoundError, lambda: client.get("urn:ngsi-ld:AirQualityObserved:none"))
    raises(NgsiContextBrokerError, lambda: client.query(type=AIR, q="pm10>1"))
    refused = raises(NgsiContextBrokerError, lambda: client.delete(ids[0]))
    assert refused.problemdetails.extension["code"] == "method_not_admitted", refused.problemdetails

raises(NgsiNotConnectedError, lambda: Client(hostname="127.0.0.1", port=port, tenant="none", tenant_autocreate=False))
print("read", stations)
