"""Reads a partner's air quality with filip, as its users do: from a broker at an address.

    read_with_filip.py URL STATIONS LOUD

STATIONS is how many stations there are to see, LOUD how many of them have more than 45 of no2.
"""
import sys

import requests
from filip.clients.ngsi_ld.cb import ContextBrokerLDClient

AIR = "AirQualityObserved"
url, stations, loud = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def refused(what):
    try:
        what()
    except requests.RequestException as error:
        return error.response
    raise AssertionError("not refused")


with ContextBrokerLDClient(url=url) as client:
    everything = client.get_entity_list(entity_type=AIR)
    ids = [entity.id for entity in everything]
    assert len(ids) == len(set(ids)) == stations, ids
    assert all(entity.no2.value > 0 and not hasattr(entity, "pm10") for entity in everything)
    assert len(client.get_entity_list(entity_type=AIR, limit=3)) == min(3, stations)
    # Of pages that are smaller than the list.
    client.pagination_limit = 4
    assert [entity.id for entity in client.get_entity_list(entity_type=AIR)] == ids
    assert len(client.get_entity_list(entity_type=AIR, q="no2>45")) == loud
    assert len(client.get_entity_list(entity_type=AIR, attrs=["no2"])) == stations
    some = client.get_entity_list(entity_type=AIR, options="keyValues")
    assert [entity.id for entity in some] == ids and all(entity.no2 > 0 for entity in some)
    near = client.get_entity_list(
        entity_type=AIR, georel="near;maxDistance==800", geometry="Point", coordinates="[18.585,56.002]"
    )
    assert 0 < len(near) < stations, len(near)

    one = client.get_entity(ids[0])
    assert one.id == ids[0] and one.no2.observedAt, one
    assert client.get_entity(ids[0], options="keyValues").no2 == one.no2.value
    assert client.get_entity(ids[0], attrs=["no2"]).no2.value == one.no2.value

    missing = refused(lambda: client.get_entity("urn:ngsi-ld:AirQualityObserved:none"))
    assert missing.status_code == 404 and missing.json()["type"].endswith("/ResourceNotFound")
    assert refused(lambda: client.get_entity_list(entity_type=AIR, q="pm10>1")).status_code == 403
    assert refused(lambda: client.delete_entity_by_id(ids[0])).status_code == 405
print("read", stations)
