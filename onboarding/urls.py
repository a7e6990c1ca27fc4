from __future__ import annotations

from django.urls import URLPattern, path

from onboarding.views import findings, imports, mapping, skus, writeback

urlpatterns: list[URLPattern] = [
    path("<slug:shop>/findings/", findings.findings, name="findings"),
    path("<slug:shop>/findings/<int:finding_id>/", findings.finding, name="finding"),
    path("<slug:shop>/findings/accept/", findings.accept_findings, name="accept_findings"),
    path("<slug:shop>/findings/look/", findings.look_for_findings, name="look_for_findings"),
    path("<slug:shop>/findings/undo/", findings.undo_finding, name="undo_finding"),
    path("<slug:shop>/imports/", imports.imports, name="imports"),
    path("<slug:shop>/imports/new/", imports.new_import, name="new_import"),
    path("<slug:shop>/imports/<int:batch_id>/", imports.import_batch, name="import"),
    path("<slug:shop>/imports/<int:batch_id>/approve/", imports.approve_import, name="approve_import"),
    path("<slug:shop>/imports/<int:batch_id>/cancel/", imports.cancel_import, name="cancel_import"),
    path("<slug:shop>/imports/<int:batch_id>/columns/", imports.import_columns, name="import_columns"),
    path("<slug:shop>/imports/<int:batch_id>/counts/", imports.set_import_counts, name="set_import_counts"),
    path("<slug:shop>/imports/<int:batch_id>/errors.csv", imports.import_errors, name="import_errors"),
    path("<slug:shop>/imports/<int:batch_id>/look-again/", imports.look_again_import, name="look_again_import"),
    path("<slug:shop>/imports/<int:batch_id>/undo/", imports.undo_import, name="undo_import"),
    path("<slug:shop>/skus/", skus.skus, name="skus"),
    path("<slug:shop>/skus/apply/", skus.apply_skus, name="apply_skus"),
    path("<slug:shop>/skus/undo/", skus.undo_skus, name="undo_skus"),
    path("<slug:shop>/write-back/", writeback.write_backs, name="write_backs"),
    path("<slug:shop>/write-back/draft/", writeback.draft_write_back, name="draft_write_back"),
    path("<slug:shop>/write-back/<int:write_id>/", writeback.write_back, name="write_back"),
    path("<slug:shop>/write-back/<int:write_id>/approve/", writeback.approve_write_back, name="approve_write_back"),
    path("<slug:shop>/write-back/<int:write_id>/cancel/", writeback.cancel_write_back, name="cancel_write_back"),
    path("<slug:shop>/write-back/<int:write_id>/lines/", writeback.exclude_write_back, name="exclude_write_back"),
    path("<slug:shop>/write-back/<int:write_id>/undo/", writeback.undo_write_back, name="undo_write_back"),
    path("<slug:shop>/mapping/", mapping.mapping, name="mapping"),
    path("<slug:shop>/mapping/<int:listing_id>/", mapping.map_listing, name="map_listing"),
    path("<slug:shop>/mapping/<int:listing_id>/variants/", mapping.choose_variant, name="choose_variant"),
    path("<slug:shop>/mapping/accept/", mapping.accept_mapping, name="accept_mapping"),
    path("<slug:shop>/mapping/compare/", mapping.compare_listings, name="compare_listings"),
    path("<slug:shop>/mapping/undo/", mapping.undo_mapping, name="undo_mapping"),
]
