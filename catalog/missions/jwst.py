"""The James Webb Space Telescope."""

from catalog.missions.mission import Cut, Mission

_LIKELY = (59_573.0, 63_000.0)
"""From the launch to the year 2031, MJD. Values outside are found as well."""
_DATES = (0.0, 200_000.0, 1e-7, _LIKELY)
"""MJD 200,000 is in the year 2406."""
_INGEST = "ingestCompletionDate_mjd"

JWST = Mission(
    collection="JWST",
    services={
        "nircam": "Mast.Jwst.Filtered.Nircam",
        "niriss": "Mast.Jwst.Filtered.Niriss",
        "nirspec": "Mast.Jwst.Filtered.Nirspec",
        "miri": "Mast.Jwst.Filtered.Miri",
        "fgs": "Mast.Jwst.Filtered.Fgs",
        "guidestar": "Mast.Jwst.Filtered.GuideStar",
    },
    filename_columns={"guidestar": "fileName"},
    uri_prefix="mast:JWST/product/",
    ingest_column=_INGEST,
    # The date of observation comes first. It stays when a file is processed again during a harvest, and it stores rows
    # together that are asked for together.
    file_cuts=(Cut("date_obs_mjd", *_DATES), Cut(_INGEST, *_DATES), Cut("ArchiveFileID", 0, 1e12, 1)),
    # Planned observations may have no time.
    observation_cuts=(Cut("t_min", *_DATES), Cut("objID", 0, 1e12, 1)),
    # Names are jwPPPPPOOOVVV_GGSAA_EEEEE_DETECTOR_SUFFIX and jwPPPPP-oOOO_TTTT_..._SUFFIX:
    # https://jwst-pipeline.readthedocs.io/en/latest/jwst/data_products/file_naming.html
    name_rules={
        # the id of the file's CAOM observation
        "file_id(name)": "regexp_replace(regexp_replace(name, '_[^_]*$', ''), '_[oc][0-9]+$', '')",
        # the observation's number in its program
        "apt_observation(name)": """
            CASE WHEN regexp_matches(split_part(name, '_', 1), '^jw[0-9]{11}$')
                 THEN name[1:7] || '-o' || name[8:10] ELSE split_part(name, '_', 1) END
        """,
        "exposure_of(name)": "nullif(regexp_extract(name, '^jw[0-9]{11}_[0-9a-z]{5}_[0-9]{5}'), '')",
        "program_of(name)": "CAST(TRY_CAST(regexp_extract(name, '^jw([0-9]{5})', 1) AS INTEGER) AS VARCHAR)",
    },
)
"""JWST, as MAST serves it."""
